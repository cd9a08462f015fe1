"""`/health`, and errors that every resource shares."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import httpx
import pytest
from flask.testing import FlaskClient

from telemetry.api import create_app
from telemetry.settings import Settings
from telemetry.store import migrate
from tests.fixtures.processes import Start
from tests.ports import free_port
from tests.waiting import eventually


def test_all_is_well(client: FlaskClient) -> None:
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.get_json() == {
        "status": "ok",
        "database": {"status": "ok", "revision": migrate.head()},
        "broker": {"status": "ok"},
    }


@pytest.mark.parametrize("part", ["database", "broker"])
def test_the_part_that_is_away_is_named_and_no_secret(settings: Settings, part: str) -> None:
    away = {
        "database": replace(settings, database_url="postgresql+psycopg://u:secret@127.0.0.1:1/none"),
        "broker": replace(settings, broker_url="redis://u:secret@127.0.0.1:1/0"),
    }
    app = create_app(away[part])
    begun = time.monotonic()
    answer = app.test_client().get("/health")
    assert time.monotonic() - begun < 6
    assert answer.status_code == 503
    found = answer.get_json()
    assert found[part] == {"status": "unreachable"}
    assert [name for name in ("database", "broker") if found[name]["status"] == "ok"] == [
        {"database": "broker"}.get(part, "database")
    ]
    assert "secret" not in answer.text
    if part == "database":
        refused = app.test_client().get("/api/v1/gpus")
        assert (refused.status_code, refused.get_json()["code"]) == (503, "database_unavailable")
        assert "secret" not in refused.text
    app.extensions["connections"].close()


def test_a_database_without_the_schema_says_how_to_make_it(settings: Settings, empty_database_url: str) -> None:
    app = create_app(replace(settings, database_url=empty_database_url.replace("postgresql:", "postgresql+psycopg:")))
    assert "telemetry db upgrade" in app.test_client().get("/health").get_json()["database"]["mend"]
    app.extensions["connections"].close()


def test_the_root_tells_where_things_are(client: FlaskClient) -> None:
    found = client.get("/").get_json()["resources"]
    assert {rule.rule.replace("<name>", "{id}") for rule in client.application.url_map.iter_rules()} == {"/", *found}


def test_unknown_paths_and_methods_are_problems(client: FlaskClient) -> None:
    missing = client.get("/api/v1/none", headers={"X-Request-ID": "mine-1"})
    assert (missing.status_code, missing.content_type) == (404, "application/problem+json")
    assert missing.headers["X-Request-ID"] == missing.get_json()["request_id"] == "mine-1"
    refused = client.post("/api/v1/gpus", headers={"X-Request-ID": "no good!"})
    assert (refused.status_code, refused.get_json()["code"]) == (405, "method_not_allowed")
    assert "GET" in refused.headers["Allow"]
    assert refused.headers["X-Request-ID"] != "no good!"


def test_gunicorn_serves_it(start: Start, environ: Mapping[str, str]) -> None:
    port = free_port()
    start("gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "2", "--no-control-socket", "telemetry.api:create_app()")

    def answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
        except httpx.TransportError:
            return False

    eventually(answers, 20)
