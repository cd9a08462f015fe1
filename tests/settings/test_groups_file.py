"""The file of groups: what it says, and what it cannot say."""

from __future__ import annotations

from pathlib import Path

import pytest

from telemetry.settings import Settings, SettingsError
from telemetry.settings.groups_file import Rights, parse

EXAMPLE = """
[groups.gpu-admins]
scopes = ["admin"]

[groups."/teams/vision"]
namespaces = ["vision-dev", "vision"]
"""
SET = {
    "TELEMETRY_OIDC_ISSUER": "https://login.example.org",
    "TELEMETRY_OIDC_CLIENT_ID": "page",
    "TELEMETRY_OIDC_CLIENT_SECRET": "secret",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "groups.toml"


def test_groups_and_their_rights(file: Path) -> None:
    file.write_text(EXAMPLE)
    rights = (Rights("gpu-admins", ("admin",)), Rights("/teams/vision", ("read",), ("vision", "vision-dev")))
    made = Settings.load({**SET, "TELEMETRY_OIDC_GROUPS": str(file)})
    assert made.oidc_groups == rights
    assert "secret" not in repr(made)
    assert parse("") == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must name a group, such as"),
        ("groups = 7", "must name a group, such as"),
        ("[group.a]", "unknown key 'group'"),
        ("[groups]\na = 1", "'a' must be a table"),
        ("[groups.a]\nscope = ['read']", "unknown key 'scope'; the keys are scopes, namespaces"),
        ("[groups.a]\nscopes = ['write']", "unknown scope 'write'; the scopes are read, ingest, admin"),
        ("[groups.a]\nscopes = []", "'a' has no scope"),
        ("[groups.a]\nscopes = 'read'", "must be a list of texts"),
        ("[groups.a]\nnamespaces = ['']", "must be a list of texts"),
        ("[groups.a]\nscopes = ['admin']\nnamespaces = ['x']", "bound to namespaces and can only read"),
        ("[groups", "is not TOML"),
    ],
)
def test_a_mistake_names_the_file_and_the_mend(file: Path, text: str, says: str) -> None:
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        Settings.load({**SET, "TELEMETRY_OIDC_GROUPS": str(file)})
    assert str(caught.value).startswith(f"TELEMETRY_OIDC_GROUPS {file}")
    assert says in str(caught.value)


@pytest.mark.parametrize("missing", sorted(SET))
def test_what_belongs_together_is_set_together(file: Path, missing: str) -> None:
    file.write_text(EXAMPLE)
    given = {name: value for name, value in SET.items() if name != missing} | {"TELEMETRY_OIDC_GROUPS": str(file)}
    with pytest.raises(SettingsError, match=f"{missing} is not"):
        Settings.load(given)
    with pytest.raises(SettingsError, match="TELEMETRY_OIDC_GROUPS is not"):
        Settings.load(SET)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("OIDC_ISSUER", "http://login.example.org", "must begin with https://"),
        ("OIDC_ISSUER", "https://user@login.example.org", "without user"),
        ("OIDC_ISSUER", "login.example.org", "is no URL; it reads like https://"),
        ("OIDC_ISSUER", "https://login.example.org?x", "without user, query and fragment"),
        ("OIDC_SCOPES", "email", "must have openid"),
        ("OIDC_SESSION_S", "5", "between 60 and"),
        ("PAGE_URL", "https://example.org/telemetry", "give it without one"),
        ("PAGE_URL", "http://example.org", "must begin with https://"),
    ],
)
def test_a_bad_address_names_the_variable_and_the_mend(name: str, value: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        Settings.load({f"TELEMETRY_{name}": value})
    assert str(caught.value).startswith(f"TELEMETRY_{name}")


@pytest.mark.parametrize("issuer", ["https://login.example.org/realms/main/", "http://localhost:8080", "http://[::1]:8080"])
def test_an_issuer_is_kept_as_it_is_written(file: Path, issuer: str) -> None:
    file.write_text(EXAMPLE)
    made = Settings.load({**SET, "TELEMETRY_OIDC_ISSUER": issuer, "TELEMETRY_OIDC_GROUPS": str(file)})
    assert made.oidc_issuer == issuer
