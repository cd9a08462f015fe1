"""`/stats`."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from telemetry.store.partitions import EPOCH, Partitions
from telemetry.store.read import totals
from telemetry.store.upkeep.ledger_folding import fold


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


@pytest.mark.usefixtures("fleet")
def test_batches_count_after_they_are_folded_too(client: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        assert fold(connection, older_than_s=0) == 1
    assert client.get("/api/v1/stats").get_json()["batches"] == {"stored": 1, "dead": 0}


@pytest.mark.usefixtures("fleet")
def test_the_span_reaches_over_partitions_and_past_empty_ones(client: FlaskClient, engine: Engine) -> None:
    days = [(datetime(2025, 7, day, tzinfo=UTC) - EPOCH).days for day in (1, 16, 20, 31)]
    Partitions(engine).ensure(days)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO samples SELECT max(id), '2025-07-16T03:00:00.5Z'::timestamptz, 1 FROM series"
                " UNION SELECT min(id), '2025-07-20T23:59:59Z'::timestamptz, 1 FROM series"
                " UNION SELECT max(id), '2025-07-20T01:00:00Z'::timestamptz, 1 FROM series"
            )
        )
    found = client.get("/api/v1/stats").get_json()
    assert (found["earliest"], found["latest"]) == ("2025-07-16T03:00:00.500000Z", "2025-07-20T23:59:59Z")


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("analysed", [False, True])
def test_many_samples_are_estimated(
    client: FlaskClient, engine: Engine, monkeypatch: pytest.MonkeyPatch, analysed: bool
) -> None:
    with engine.begin() as connection:
        if analysed:
            connection.execute(text("ANALYZE samples"))
        # After ANALYZE, so that the estimate must follow the growth.
        connection.execute(
            text(
                "INSERT INTO samples SELECT id, '2025-07-18T00:00:00Z'::timestamptz + n * interval '1 s', 1"
                " FROM generate_series(1, 5000) n, series"
            )
        )
    monkeypatch.setattr(totals, "EXACT_COUNT_ROWS", 1000)
    found = client.get("/api/v1/stats").get_json()
    assert found["samples_exact"] is False
    assert found["samples"] == pytest.approx(40_400, rel=0.15)
