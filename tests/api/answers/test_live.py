"""`/live`: what is there, then what is newer, until the stream ends; and no more streams than a process carries."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from telemetry.api import create_app
from telemetry.api.answers import live, tables
from telemetry.settings import Settings
from telemetry.store import apikeys


def events(answer: Any) -> list[tuple[str, dict[str, Any]]]:
    told = [each.split("\n") for each in answer.text.split("\n\n") if "event: " in each]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for *_, name, data in told]


@pytest.mark.usefixtures("fleet")
def test_it_begins_with_what_is_there(client: FlaskClient) -> None:
    answer = client.get("/api/v1/live?max_age=9999d&gpu=GPU-a1&seconds=1")
    assert (answer.status_code, answer.mimetype) == (200, "text/event-stream")
    (first, health), *readings = events(answer)
    assert (first, health["status"]) == ("health", "ok")
    assert [(name, each["gpu"], each["value"]) for name, each in readings] == [("reading", "GPU-a1", 50.0)] * 2
    assert [each["labels"] for _, each in readings] == [{"pod": "p"}] * 2
    assert [(each["model"], each["owner"]) for _, each in readings] == [("H100", {"pod": "p"})] * 2
    assert answer.text.startswith("retry: 2000\n\n")
    assert answer.text.count("\nid: ") == 2


@pytest.mark.usefixtures("fleet")
def test_then_comes_what_is_newer(client: FlaskClient, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def instead_of_sleeping(_: float) -> None:
        with engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO samples SELECT min(series.id), '2025-07-18T23:00:00Z', 99 FROM series"
                    " JOIN gpus ON gpus.id = gpu_id WHERE identity = 'GPU-a1' ON CONFLICT DO NOTHING"
                )
            )

    monkeypatch.setattr(live, "LOOK_S", 0.3)
    monkeypatch.setattr(live, "sleep", instead_of_sleeping)
    readings = [
        each for name, each in events(client.get("/api/v1/live?max_age=9999d&gpu=GPU-a1&seconds=1")) if name == "reading"
    ]
    assert [each["value"] for each in readings] == [50.0, 50.0, 99.0]
    assert readings[-1]["timestamp"] == "2025-07-18T23:00:00Z"


@pytest.mark.usefixtures("fleet")
def test_a_process_carries_few_and_frees_what_ends(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/api/v1/live?max_age=9999d&gpu=GPU-a1&seconds=1"
    running = [client.get(path) for _ in range(2)]
    refused = client.get(path)
    assert (refused.status_code, refused.get_json()["code"], refused.headers["Retry-After"]) == (503, "too_many_streams", "5")
    # An export that is long is one of them; one that is short is none.
    assert client.get("/api/v1/gpus?format=csv").status_code == 200
    monkeypatch.setattr(tables, "WHOLE_BYTES", 100)
    assert client.get("/api/v1/gpus?format=csv").status_code == 503
    for answer in running:
        answer.close()
    again = client.get(path)
    assert again.status_code == 200
    again.close()
    assert client.get("/api/v1/live?max_age=9999d&gpu=none").status_code == 404


@pytest.mark.usefixtures("fleet")
def test_a_change_of_health_is_told(client: FlaskClient, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def instead_of_sleeping(_: float) -> None:
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE IF EXISTS alembic_version RENAME TO lost"))

    monkeypatch.setattr(live, "LOOK_S", 0.3)
    monkeypatch.setattr(live, "sleep", instead_of_sleeping)
    told = [each for name, each in events(client.get("/api/v1/live?max_age=9999d&gpu=GPU-a1&seconds=1")) if name == "health"]
    assert [(each["status"], each["database"]["status"]) for each in told] == [("ok", "ok"), ("unavailable", "not migrated")]


@pytest.mark.usefixtures("fleet")
def test_more_series_than_it_carries_are_refused(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_SERIES", 7)
    refused = client.get("/api/v1/live?max_age=9999d&seconds=1")
    assert (refused.status_code, refused.get_json()["code"]) == (422, "too_many_series")
    assert client.get("/api/v1/live?max_age=9999d&seconds=1&host=a").status_code == 200


@pytest.mark.usefixtures("fleet")
def test_what_came_since_is_found_with_new_series_and_a_revoked_key_ends_it(
    settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(replace(settings, api_access="keys"))
    with engine.begin() as connection:
        key = apikeys.create(connection, "page", ["read"], None, "a test")
    looks = 0

    def instead_of_sleeping(_: float) -> None:
        nonlocal looks
        looks += 1
        with engine.begin() as connection:
            if looks == 1:
                connection.execute(
                    text(
                        "INSERT INTO series (gpu_id, metric_id, labels_digest, labels) SELECT gpu_id, metric_id,"
                        " 'new', '{}' FROM series LIMIT 1"
                    )
                )
                connection.execute(text("INSERT INTO samples SELECT max(id), '2025-07-18T23:00:00Z', 7 FROM series"))
            elif looks == 2:
                apikeys.revoke(connection, "page", "a test")

    monkeypatch.setattr(live, "LOOK_S", 0.0)
    monkeypatch.setattr(live, "REFRESH_S", 0.0)
    monkeypatch.setattr(live, "sleep", instead_of_sleeping)
    answer = app.test_client().get("/api/v1/live?max_age=9999d&seconds=60", headers={"X-API-Key": key})
    found = [each["value"] for name, each in events(answer) if name == "reading"]
    assert (len(found), found[-1], looks) == (9, 7.0, 2)
    app.extensions["connections"].close()
