"""A worker that is alive and does not consume ends, so that its supervisor starts another."""

from __future__ import annotations

from pathlib import Path

import redis

from telemetry.monitoring.port.watchdog import EXIT_CODE, Standstill
from telemetry.settings import Settings
from tests.fixtures.processes import ROOT, Start
from tests.waiting import eventually


def test_a_worker_that_stopped_consuming_ends(
    start: Start, settings: Settings, redis_client: redis.Redis, tmp_path: Path
) -> None:
    worker = start(
        *("celery", "-A", "tests.monitoring.port.stalling:app", "worker", "--without-gossip", "--without-mingle", "-l", "info"),
        TELEMETRY_ROLE="central",
        TELEMETRY_STALL_S="3",
        PYTHONPATH=str(ROOT),
    )
    log = tmp_path / "0-celery.log"
    eventually(lambda: " ready." in log.read_text(), 30)
    # The first may be fetched before the consumer is cancelled.
    redis_client.lpush(settings.ingest_queue, "{}", "{}")
    assert worker.wait(30) == EXIT_CODE


def test_a_loop_stands_still_if_two_looks_see_it_while_the_broker_answers() -> None:
    standstill = Standstill(60.0)
    assert not standstill.lasts(silent_s=61, reachable_s=100)
    # The whole process was frozen, and its loop turns again.
    assert not standstill.lasts(silent_s=1, reachable_s=101)
    # The broker was away until a moment ago.
    assert [standstill.lasts(silent_s=90, reachable_s=reachable_s) for reachable_s in (5, 30, 61, 62)] == [
        False,
        False,
        False,
        True,
    ]
