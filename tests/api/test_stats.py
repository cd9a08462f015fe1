"""`/stats`."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient


def test_an_empty_database_has_nothing(client: FlaskClient) -> None:
    found = client.get("/api/v1/stats").get_json()
    assert (found["samples"], found["earliest"], found["latest"]) == (0, None, None)


@pytest.mark.usefixtures("fleet")
def test_everything_is_counted(client: FlaskClient) -> None:
    assert client.get("/api/v1/stats").get_json() == {
        "gpus": 4,
        "hosts": 2,
        "metrics": 2,
        "series": 8,
        "samples": 400,
        "samples_exact": True,
        "earliest": "2025-07-18T20:42:34Z",
        "latest": "2025-07-18T20:43:23Z",
        "batches": {"stored": 1, "dead": 0},
        "quarantined": 0,
        "dead_letters": 0,
    }
