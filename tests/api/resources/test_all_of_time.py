"""Queries over all of time, of a database that a file with odd times has written to: none is refused for want of locks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from sqlalchemy import Engine

from telemetry.api import create_app
from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from tests.batches import T0_US, batch, key, readings
from tests.fixtures.services import Query

DAYS = 5000
A_BATCH = 2500
DAY_S = 86_400
SPAN = {"start_time": "2000-01-01T00:00:00Z", "end_time": "2100-01-01T00:00:00Z"}
METRIC = {"metric": "DCGM_FI_DEV_GPU_UTIL"}


@pytest.fixture
def odd_days(settings: Settings, engine: Engine, redis_client: redis.Redis) -> None:
    """A reading on each of the last days, the last one today."""
    collector = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), settings.ack_ttl_s))
    now_s = int(datetime.now(UTC).timestamp()) - T0_US // 1_000_000
    for first in range(0, DAYS, A_BATCH):
        rows = [(key(), now_s - day * DAY_S, 1.0) for day in range(first, first + A_BATCH)]
        assert collector.persist(*wire.encode(batch(readings(*rows), f"b{first}"))).status == "stored"


@pytest.mark.usefixtures("odd_days")
def test_sixteen_queries_over_five_thousand_days_are_all_answered(settings: Settings, query: Query) -> None:
    app = create_app(replace(settings, api_access="open"))

    def ask(number: int) -> tuple[int, Any]:
        paths = ("query", "gpus/GPU-1/telemetry", "gpus/GPU-1/telemetry", "stats")
        parameters: list[dict[str, Any]] = [
            {**SPAN, **METRIC, "agg": "count"},
            {**SPAN, **METRIC, "limit": 1000},
            {**SPAN, **METRIC, "step": "365d", "agg": "max"},
            {},
        ]
        answer = app.test_client().get(f"/api/v1/{paths[number % 4]}", query_string=parameters[number % 4])
        return answer.status_code, answer.get_json()

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(ask, range(16)))
    app.extensions["connections"].close()
    assert [(status, body) for status, body in answers if status != 200] == []
    assert query("SELECT count(*), count(DISTINCT tableoid) < 150 FROM samples") == [(DAYS, True)]
    ((table, day),) = query("SELECT tableoid::regclass::text, to_char(ts, 'YYYYMMDD') FROM samples ORDER BY ts DESC LIMIT 1")
    assert table == f"samples_{day}"
