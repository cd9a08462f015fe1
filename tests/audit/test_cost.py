"""On a healthy system the audit takes less than a percent of a core, its own process and the server's together."""

from __future__ import annotations

import time

import psutil
import pytest
import redis
from sqlalchemy import Engine, text

from telemetry.cli.exporter import AUDIT_PAUSE
from telemetry.exporter.audits import GapAudit, SampleAuditLook
from telemetry.exporter.look import Look
from telemetry.settings import Settings
from telemetry.store.partitions import Partitions

DAY = 20_000
SERIES = 400
SAMPLES = SERIES * 8640


@pytest.mark.slow
def test_the_audit_takes_less_than_a_percent_of_a_core(settings: Settings, engine: Engine, redis_client: redis.Redis) -> None:
    Partitions(engine).ensure([DAY])
    with engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO samples SELECT s, to_timestamp(86400.0 * :day + 10 * t), 0
                FROM generate_series(1, :series) s, generate_series(0, 8639) t
            """),
            {"day": DAY, "series": SERIES},
        )
        each = {"day": DAY, "samples": SAMPLES // 24}
        connection.execute(text("INSERT INTO tallies SELECT 24 * :day + h, :samples FROM generate_series(0, 23) h"), each)
    every_s = 4 * settings.exporter_interval_s
    samples = Look("samples", every_s, SampleAuditLook(engine), AUDIT_PAUSE)
    gaps = Look("gaps", every_s, GapAudit(engine, settings, {"": redis_client}), AUDIT_PAUSE)
    spent_s, passed_s = 0.0, 0.0
    for _ in range(5):
        before_s = time.process_time() + servers_s(engine)
        samples.once()
        gaps.once()
        spent_s += time.process_time() + servers_s(engine) - before_s
        # Each look has a thread and a pause of its own.
        passed_s += max(samples.pause_s, gaps.pause_s)
    assert (samples.failures, gaps.failures) == (0, 0)
    assert spent_s / passed_s < 0.01, f"{spent_s:.2f} s in {passed_s:.0f} s"


def servers_s(engine: Engine) -> float:
    """How much time the sessions of the audit have taken so far."""
    with engine.connect() as connection:
        pids = connection.scalars(text("SELECT pid FROM pg_stat_activity WHERE application_name = 'telemetry-test'")).all()
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return sum(one.user + one.system for one in times)
