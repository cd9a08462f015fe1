"""No password is left in a text, in whatever form it stands there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.redaction import blot


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://:p@b/0", "redis://:***@b/0"),
        ("postgresql+psycopg://u:p@ss:w@h:5/t", "postgresql+psycopg://u:***@h:5/t"),
        ("postgresql://h/t?user=u&password=p&sslmode=require", "postgresql://h/t?user=u&password=***&sslmode=require"),
        (r"host=h password='it\'s p' user=u", "host=h password=*** user=u"),
        ("redis://:p@ss/w#rd%@127.0.0.1:6379/0: Error -2", "redis://:***@127.0.0.1:6379/0: Error -2"),
        ("postgresql://u:p@ss/w#rd@127.0.0.1/t", "postgresql://u:***@127.0.0.1/t"),
        ("redis://u:a?b@c/d@h/0", "redis://u:***@h/0"),
        ("postgresql://u:a/b@h/t?x=1 and redis://:s/@b/0", "postgresql://u:***@h/t?x=1 and redis://:***@b/0"),
        ("sslpassword = p, x", "sslpassword = ***, x"),
        ("redis://b:6379/0 and no password", "redis://b:6379/0 and no password"),
    ],
)
def test_passwords_are_blotted_out(text: str, shown: str) -> None:
    assert blot(text) == shown


@given(st.text(st.characters(codec="utf-8", exclude_characters=" \t\r\n'\"", exclude_categories=["Z", "C"]), min_size=4))
def test_any_password_of_a_url_is(password: str) -> None:
    assert blot(f"cannot reach redis://user:{password}@host:1/0 now") == "cannot reach redis://user:***@host:1/0 now"
