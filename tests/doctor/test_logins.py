"""`telemetry doctor` and a provider of logins: a sound one, one that is away, one that does not know our client."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from telemetry.doctor import logins
from tests.fixtures.provider import SECRET, Running
from tests.ports import free_port

Run = Callable[..., subprocess.CompletedProcess[str]]


def asked(telemetry: Run, **variables: str) -> dict[str, dict[str, Any]]:
    done = telemetry("doctor", "--json", "--role", "api", **variables)
    assert done.stdout, done.stderr
    assert SECRET not in done.stdout + done.stderr
    return {each["check"]: each for each in json.loads(done.stdout)["checks"] if each["part"] == "logins"}


def test_a_provider_is_asked_as_in_a_login(telemetry: Run, provider: Running, tmp_path: Path) -> None:
    found = asked(telemetry, **provider.variables)
    assert {name: each["verdict"] for name, each in found.items()} == dict.fromkeys(
        ("libraries", "issuer", "keys", "client"), "ok"
    )
    assert "knows the client telemetry-page" in found["client"]["says"]
    other = tmp_path / "other"
    other.write_text("another secret")
    found = asked(telemetry, **{**provider.variables, "TELEMETRY_OIDC_CLIENT_SECRET_FILE": str(other)})
    assert (found["issuer"]["verdict"], found["client"]["verdict"]) == ("ok", "failed")
    assert "TELEMETRY_OIDC_CLIENT_SECRET" in found["client"]["mend"]
    provider.next(metadata={"issuer": "https://another.example.org"})
    found = asked(telemetry, **provider.variables)
    assert (found["issuer"]["verdict"], found["keys"]["verdict"]) == ("failed", "skipped")
    assert "exactly so" in found["issuer"]["mend"]
    found = asked(telemetry, **{**provider.variables, "TELEMETRY_OIDC_ISSUER": f"http://localhost:{free_port()}"})
    assert "cannot be read" in found["issuer"]["says"]


def test_without_a_provider_nothing_is_asked(telemetry: Run) -> None:
    assert asked(telemetry) == {}


@pytest.mark.parametrize(
    ("document", "verdict"),
    [
        ({"keys": [{"kty": "RSA"}]}, "ok"),
        ({"keys": [{"kty": "EC", "use": "sig"}, {"kty": "oct"}]}, "ok"),
        ({"keys": [{"kty": "RSA", "use": "enc"}]}, "failed"),
        ({"keys": []}, "failed"),
        ({"keys": True}, "failed"),
        ({"keys": [{"kty": ["RSA"]}]}, "failed"),
        ([], "failed"),
    ],
)
def test_keys(document: Any, verdict: str) -> None:
    assert logins.judge_keys(document).verdict == verdict


@pytest.mark.parametrize(
    ("error", "verdict"),
    [("invalid_grant", "ok"), ("invalid_client", "failed"), ("invalid_request", "ok"), (None, "ok"), ([], "ok")],
)
def test_what_a_made_up_code_is_answered(error: Any, verdict: str) -> None:
    assert logins.judge_client(error, "page").verdict == verdict
