"""The fault tests can fail: a system without acknowledgements, ledger and keys loses and doubles rows under the same faults."""

from __future__ import annotations

from pathlib import Path
from random import Random

import psycopg
import pytest

from tests.faults.breaking import FAULTS
from tests.faults.brokers import queued
from tests.faults.site import Site, site
from tests.waiting import eventually

ROOT = str(Path(__file__).parents[2])
DROP_KEYS = b"""
    ALTER TABLE batches DROP CONSTRAINT batches_pkey;
    ALTER TABLE samples DROP CONSTRAINT samples_pkey;
    ALTER TABLE quarantine DROP CONSTRAINT quarantine_fingerprint_byte_offset_digest_key
"""
DOUBLED = """
    SELECT count(*) - count(DISTINCT (series_id, ts)) FROM samples s JOIN series ON series.id = s.series_id
    JOIN gpus g ON g.id = series.gpu_id WHERE g.identity LIKE 'GPU-%-{}'
"""
# Longer than what a killed collector had fetched takes to be delivered again.
QUIET_S = 40.0


LOSE = ("kill_collector", "lose_queued_messages", "fail_transactions", "wipe_broker")
DOUBLE = ("double_messages",)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_without_acks_and_ledger_the_same_faults_do_lose_or_double() -> None:
    with site(app="tests.faults.weakened:app", collectors=0, streamers=0) as running:
        running.variables["PYTHONPATH"] = ROOT
        with psycopg.connect(running.postgres.url) as connection:
            connection.execute(DROP_KEYS)
        for start in (running.start_collector, running.start_collector, running.start_streamer):
            start()
        faults = (*LOSE, *DOUBLE)
        for name in faults:
            feeder = running.feed(2500, name)
            running.wait_for_flow(1000)
            if name == "wipe_broker":
                wipe_queued(running)
            else:
                FAULTS[name](running, Random(name))  # noqa: S311
            feeder.finish()
        eventually(lambda: nothing_waits(running), QUIET_S, every_s=0.5, what="an empty broker")
        missing = {feeder.path.stem: running.verify(feeder.path)["missing"] for feeder in running.feeders}
        doubled = {name: running.count(DOUBLED.format(name)) for name in faults}
        assert [name for name in LOSE if not missing[name]] == []
        assert [name for name in DOUBLE if not doubled[name]] == []


def wipe_queued(running: Site) -> None:
    """FLUSHALL when the edge believes what is queued to be stored: it publishes again what it has no acknowledgement of."""
    with queued(running) as client:
        feeder = running.feeders[-1]
        size_bytes = feeder.path.stat().st_size
        eventually(lambda: running.committed_bytes(feeder) >= size_bytes, every_s=0.01, what="trust in what is queued")
        client.flushall()


def nothing_waits(running: Site) -> bool:
    """Whether the broker holds no batch and the edge believes all its files to be stored."""
    with running.client() as client:
        waiting = client.llen("telemetry.ingest") + client.hlen("telemetry.unacked.central")
    return not waiting and all(feeder.path.stat().st_size == running.committed_bytes(feeder) for feeder in running.feeders)
