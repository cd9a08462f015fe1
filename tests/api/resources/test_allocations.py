"""Who had a GPU: stretches of time, their gaps bridged as asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from sqlalchemy import Engine

from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from tests.batches import batch, key, readings

# The begin of the minute of T0, 34 s before it.
BEGIN = datetime(2025, 7, 18, 20, 42, tzinfo=UTC)
ADA = {"user": "ada", "hpc_job": "7"}


@pytest.fixture
def held(settings: Settings, engine: Engine, redis_client: redis.Redis) -> None:
    """Minutes 0 to 2, 5 to 6, and 190 to 209 (past midnight) of ada; minute 2 of b too, on instance 3; nobody in between."""
    minutes = [(minute, ADA) for minute in (0, 1, 2, 5, 6, *range(190, 210))]
    rows = [(key(**labels), 60 * minute, 1.0) for minute, labels in minutes]
    rows += [(key(GPU_I_ID="3", pod="b"), 120, 1.0), (key(), 180, 1.0), (key(gpu="GPU-2", pod="c"), 0, 1.0)]
    Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60)).persist(*wire.encode(batch(readings(*rows))))


def stretches(client: FlaskClient, **query: Any) -> list[tuple[Any, ...]]:
    """Owner, first minute, end, and the minutes held and read of each."""
    answer = client.get("/api/v1/gpus/GPU-1/allocations", query_string=query)
    assert answer.status_code == 200, answer.text
    return [
        (
            *(row["user"] or row["pod"], minute(row["start"]), minute(row["end"])),
            *(row["held_s"] / 60, row["read_s"] / 60),
        )
        for row in answer.get_json()["items"]
    ]


def minute(text: str) -> float:
    return (datetime.fromisoformat(text) - BEGIN) / timedelta(minutes=1)


@pytest.mark.usefixtures("held")
def test_gaps_are_bridged_when_asked(client: FlaskClient) -> None:
    whole = [("ada", 190, 210, 20, 20), ("ada", 0, 7, 7, 5), ("b", 2, 3, 1, 1)]
    assert stretches(client) == whole
    assert stretches(client, bridge="2m") == whole
    apart = [("ada", 190, 210, 20, 20), ("ada", 5, 7, 2, 2), ("b", 2, 3, 1, 1), ("ada", 0, 3, 3, 3)]
    assert stretches(client, bridge="1m") == apart
    assert stretches(client, bridge="1d") == [("ada", 0, 210, 210, 25), ("b", 2, 3, 1, 1)]


@pytest.mark.usefixtures("held")
def test_a_span_cuts_them(client: FlaskClient) -> None:
    start, end = (BEGIN + timedelta(minutes=minutes) for minutes in (1, 6))
    assert stretches(client, start_time=start.isoformat(), end_time=end.isoformat()) == [
        ("ada", 1, 6, 5, 3),
        ("b", 2, 3, 1, 1),
    ]
    assert stretches(client, start_time=(BEGIN + timedelta(days=3)).isoformat()) == []


@pytest.mark.usefixtures("held")
def test_an_owner_is_told_by_all_its_labels_in_every_format(client: FlaskClient) -> None:
    (last, *_) = client.get("/api/v1/gpus/GPU-1/allocations").get_json()["items"]
    assert (last["owner"], last["job"], last["instance"]) == (ADA, "7", None)
    rows = client.get("/api/v1/gpus/GPU-1/allocations?format=csv").text.splitlines()
    assert len(rows) == 1 + 3
    assert rows[0].startswith("start,end,held_s,read_s,instance,namespace")
