"""Who may ask: keys with scopes, that end and are told apart; and an open API, which is open to this machine alone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from telemetry.api import create_app
from telemetry.settings import Settings
from telemetry.store import apikeys

Telemetry = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def closed(settings: Settings) -> Iterator[FlaskClient]:
    """A client of an application that asks for keys."""
    app = create_app(replace(settings, api_access="keys"))
    yield app.test_client()
    app.extensions["connections"].close()


@pytest.fixture
def make(engine: Engine) -> Callable[..., str]:
    """Make a key with scopes."""

    def made(*scopes: str, expires_at: datetime | None = None) -> str:
        with engine.begin() as connection:
            return apikeys.create(connection, f"key-{'-'.join(scopes)}", scopes, expires_at, "a test")

    return made


def ask(client: FlaskClient, key: str | None, path: str = "/api/v1/stats", **more: Any) -> tuple[int, str | None]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    answer = client.get(path, headers=headers, **more)
    return answer.status_code, (answer.get_json() or {}).get("code")


def test_nobody_comes_in_without_a_key(closed: FlaskClient) -> None:
    answer = closed.get("/api/v1/stats")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    for path in ("/", "/health", "/api/v1/health/live", "/api/v1/health/ready", "/api/v1/openapi.json", "/api/v1/docs"):
        assert closed.get(path).status_code == 200, path


def test_a_key_comes_in_either_way(closed: FlaskClient, make: Callable[..., str]) -> None:
    key = make("read")
    assert ask(closed, key) == (200, None)
    assert closed.get("/api/v1/stats", headers={"X-API-Key": key}).status_code == 200


def test_a_key_does_what_its_scopes_say(closed: FlaskClient, make: Callable[..., str]) -> None:
    assert ask(closed, make("read"), "/api/v1/audit") == (403, "forbidden")
    assert ask(closed, make("ingest")) == (403, "forbidden")
    admin = make("admin")
    assert (ask(closed, admin)[0], ask(closed, admin, "/api/v1/audit")[0]) == (200, 200)


def test_what_is_not_quite_a_key_is_none(closed: FlaskClient, make: Callable[..., str]) -> None:
    key = make("read")
    for spoilt in (key[:-1], f"{key}x", key.upper(), "tk_0_0", "é", "tk_a_b", "tk"):
        assert ask(closed, spoilt) == (401, "unauthorized"), spoilt


def test_a_key_ends(closed: FlaskClient, make: Callable[..., str], engine: Engine) -> None:
    assert ask(closed, make("read", "ingest", expires_at=datetime.now(UTC) - timedelta(seconds=1))) == (401, "unauthorized")
    key = make("read")
    assert ask(closed, key) == (200, None)
    with engine.begin() as connection:
        assert apikeys.revoke(connection, "key-read", "a test")
    assert ask(closed, key) == (401, "unauthorized")


def test_no_key_is_kept(make: Callable[..., str], engine: Engine) -> None:
    key = make("read")
    secret = key.split("_", 2)[2]
    with engine.connect() as connection:
        kept = str(connection.execute(text("SELECT * FROM api_keys, audit_log")).all())
    assert "key-read" in kept
    assert secret not in kept


def test_an_open_api_is_open_to_this_machine_alone(client: FlaskClient) -> None:
    assert ask(client, None) == (200, None)
    far: list[dict[str, Any]] = [
        {"environ_base": {"REMOTE_ADDR": "192.0.2.7"}},
        *(
            {"headers": {name: "192.0.2.7"}}
            for name in ("X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "Via", "X-Real-IP", "x-forwarded-host")
        ),
        {"headers": {"Origin": "https://elsewhere.example"}},
        {"base_url": "http://rebound.example:8080"},
    ]
    for way in far:
        assert client.get("/api/v1/stats", **way).status_code == 401, way
    assert client.get("/api/v1/stats", headers={"Origin": "http://localhost"}).status_code == 200


def test_keys_are_made_listed_and_revoked_at_the_command_line(closed: FlaskClient, telemetry: Telemetry) -> None:
    made = telemetry("apikey", "create", "grafana", "--scope", "read", "--expires", "90d", "--json")
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)["key"]
    assert ask(closed, key) == (200, None)
    listed = json.loads(telemetry("apikey", "list", "--json").stdout)
    assert [(row["name"], row["scopes"], row["last_used_at"] is not None) for row in listed] == [("grafana", ["read"], True)]
    plain = telemetry("apikey", "list").stdout
    assert "grafana" in plain
    assert key not in plain
    taken = telemetry("apikey", "create", "grafana")
    assert (taken.returncode, "give another name" in taken.stderr) == (1, True)
    assert telemetry("apikey", "revoke", "grafana").returncode == 0
    assert ask(closed, key) == (401, "unauthorized")
    assert telemetry("apikey", "revoke", "grafana").returncode == 1
    admin = telemetry("apikey", "create", "root", "--scope", "admin").stdout.strip()
    log = closed.get("/api/v1/audit", headers={"Authorization": f"Bearer {admin}"}).get_json()["items"]
    assert [(entry["action"], entry["target"]) for entry in log] == [
        ("apikey.create", "root"),
        ("apikey.revoke", "grafana"),
        ("apikey.create", "grafana"),
    ]
