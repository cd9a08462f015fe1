"""`/dead-letters/{letter}/drop`: an admin drops a dead letter, and the audit log has who."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from telemetry.api import create_app
from telemetry.settings import Settings
from telemetry.store import apikeys, deadletters
from telemetry.store.deadletters import Letter


@pytest.fixture
def letter_id(engine: Engine) -> int:
    with engine.begin() as connection:
        deadletters.add(connection, Letter("WireError: it was cut", {}, b"..."), edge="a/b", batch_id="b1")
        return deadletters.ids(connection)[0]


def test_a_letter_is_dropped_once(client: FlaskClient, engine: Engine, letter_id: int) -> None:
    assert client.post(f"/api/v1/dead-letters/{letter_id}/drop").get_json() == {"id": letter_id}
    assert client.get("/api/v1/dead-letters").get_json()["items"] == []
    with engine.connect() as connection:
        noted = connection.execute(text("SELECT action, target FROM audit_log")).all()
    assert noted == [("deadletter.drop", str(letter_id))]
    for wrong in (letter_id, 0, 2**63, "x"):
        assert client.post(f"/api/v1/dead-letters/{wrong}/drop").get_json()["code"] == "dead_letter_not_found"


def test_only_an_admin_drops(settings: Settings, engine: Engine, letter_id: int) -> None:
    app = create_app(settings)
    client = app.test_client()
    with engine.begin() as connection:
        keys = [apikeys.create(connection, scope, (scope,), None, "a test") for scope in ("read", "ingest", "admin")]
    path = f"/api/v1/dead-letters/{letter_id}/drop"
    assert client.post(path).status_code == 401
    answers = [client.post(path, headers={"X-API-Key": key}).status_code for key in keys]
    assert answers == [403, 403, 200]
    app.extensions["connections"].close()
