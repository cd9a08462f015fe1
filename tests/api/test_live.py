"""`/live`: what is there, then what is newer, until the stream ends; and no more streams than a process carries."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from telemetry.api import live


def events(answer: Any) -> list[tuple[str, dict[str, Any]]]:
    told = [each.split("\n") for each in answer.text.split("\n\n") if each.startswith("event: ")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in told]


@pytest.mark.usefixtures("fleet")
def test_it_begins_with_what_is_there(client: FlaskClient) -> None:
    answer = client.get("/api/v1/live?gpu=GPU-a1&seconds=1")
    assert (answer.status_code, answer.mimetype) == (200, "text/event-stream")
    (first, health), *readings = events(answer)
    assert (first, health["status"]) == ("health", "ok")
    assert [(name, each["gpu"], each["value"]) for name, each in readings] == [("reading", "GPU-a1", 50.0)] * 2
    assert [each["labels"] for _, each in readings] == [{"pod": ""}, {"pod": "p"}]


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
    readings = [each for name, each in events(client.get("/api/v1/live?gpu=GPU-a1&seconds=1")) if name == "reading"]
    assert [each["value"] for each in readings] == [50.0, 50.0, 99.0]
    assert readings[-1]["timestamp"] == "2025-07-18T23:00:00Z"


@pytest.mark.usefixtures("fleet")
def test_a_process_carries_few_and_frees_what_ends(client: FlaskClient) -> None:
    path = "/api/v1/live?gpu=GPU-a1&seconds=1"
    running = [client.get(path) for _ in range(live.STREAMS)]
    refused = client.get(path)
    assert (refused.status_code, refused.get_json()["code"]) == (503, "too_many_streams")
    for answer in running:
        answer.close()
    again = client.get(path)
    assert again.status_code == 200
    again.close()
    assert client.get("/api/v1/live?gpu=none").status_code == 404
