"""What the claims of a provider say of groups, and what several groups come to."""

from __future__ import annotations

from typing import Any

import pytest

from telemetry.api.guards import groups
from telemetry.settings.groups_file import Rights

KNOWN = (
    Rights("users", ("read",)),
    Rights("admins", ("admin",)),
    Rights("ours", ("read",), ("b", "a")),
    Rights("theirs", ("read",), ("c",)),
    Rights("uploaders", ("ingest",)),
)


@pytest.mark.parametrize(
    ("claims", "claim", "says"),
    [
        ({"groups": ["a", "b"]}, "groups", ("a", "b")),
        ({"groups": "a"}, "groups", ("a",)),
        ({"groups": ["a", 7, None]}, "groups", ("a",)),
        ({"groups": []}, "groups", ()),
        ({"groups": 7}, "groups", None),
        ({}, "groups", None),
        ({"realm_access": {"roles": ["a"]}}, "realm_access.roles", ("a",)),
        ({"realm_access": ["roles"]}, "realm_access.roles", None),
        ({"https://example.org/roles": ["a"], "https://example": {"org/roles": ["b"]}}, "https://example.org/roles", ("a",)),
        ({"email": "a@example.org", "email_verified": True}, "email", ("a@example.org",)),
        ({"email": "a@example.org", "email_verified": "true"}, "email", None),
        ({"email": "a@example.org"}, "email", None),
    ],
)
def test_groups_of_claims(claims: dict[str, Any], claim: str, says: tuple[str, ...] | None) -> None:
    assert groups.groups(claims, claim) == says


@pytest.mark.parametrize(
    ("members", "may"),
    [
        ((), None),
        (("Users", "unknown"), None),
        (("uploaders",), None),
        (("users",), (("read",), ())),
        (("users", "ours"), (("read",), ())),
        (("admins", "ours"), (("admin",), ())),
        (("users", "uploaders"), (("ingest", "read"), ())),
        (("ours", "theirs"), (("read",), ("a", "b", "c"))),
        (("ours", "uploaders"), (("read",), ("a", "b"))),
    ],
)
def test_several_groups_come_to_what_any_of_them_may(members: tuple[str, ...], may: object) -> None:
    assert groups.rights(members, KNOWN) == may
