"""Looks go on after errors, and what they saw is shown while it is fresh."""

from __future__ import annotations

import pytest
import redis
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from telemetry.exporter.look import Look, Looks
from tests.scrape import total, values
from tests.waiting import eventually


def test_an_error_nobody_thought_of_is_counted_and_the_next_look_is_made(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[int] = []

    def ask() -> list[Metric]:
        asked.append(1)
        if len(asked) == 1:
            raise KeyError("anything")
        return []

    look = Look("part", 0.01, ask)
    look.start()
    eventually(look.is_fresh)
    look.stop()
    assert total(values(Looks([look]).collect()), "telemetry_exporter_failures_total", part="part") == 1
    assert "unexpected error" in caplog.text
    eventually(lambda: not look.is_alive())


def test_a_failure_is_logged_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    answers: list[redis.RedisError | float] = [1.0, redis.ConnectionError("away"), redis.ConnectionError("away"), 2.0]

    def ask() -> list[Metric]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return [GaugeMetricFamily("answer", "", value=answer)]

    look = Look("broker", 10, ask)
    seen = []
    while answers:
        look.once()
        seen.append((total(values(look.seen()), "answer"), look.is_fresh(), look.failures))
    assert seen == [(1, True, 0), (None, False, 1), (None, False, 2), (2, True, 2)]
    assert [record.message for record in caplog.records] == [
        "cannot look at the broker: away",
        "can look at the broker again",
    ]
