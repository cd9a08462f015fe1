"""`telemetry audit` of a database from which a sample was deleted."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import redis
from sqlalchemy import Engine, text

from telemetry.collector.persist import Collector
from telemetry.exporter.audits import SampleAuditLook, ShortfallLook
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from tests.batches import batch, key, readings
from tests.scrape import total, values

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_a_loss_is_shown_until_it_is_accepted(
    telemetry: Run, engine: Engine, settings: Settings, redis_client: redis.Redis
) -> None:
    store = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))
    store.persist(*wire.encode(batch(readings((key(), 0, 1.0), (key(), 1, 2.0)))))
    look, shortfall = SampleAuditLook(engine), ShortfallLook(engine, settings, {"": redis_client})
    look()
    assert telemetry("audit", "show").returncode == 0
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM samples WHERE value = 2"))
    look()
    shown = telemetry("audit", "show")
    assert shown.returncode == 1
    hours = "2025-07-18T20:00:00+00:00 to 2025-07-18T21:00:00+00:00"
    assert f"1 sample of {hours} gone, 0 of them are there again" in shown.stdout
    assert json.loads(telemetry("audit", "show", "--json").stdout)["missing"] == 1
    assert "1 sample given up" in telemetry("audit", "accept").stdout
    assert telemetry("audit", "show").returncode == 0
    assert total(values(shortfall()), "telemetry_missing_samples") == 0
    assert "nothing is missing" in telemetry("audit", "accept").stdout
