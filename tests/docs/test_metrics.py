"""docs/METRICS.md lists the metrics that there are: those the processes themselves show when they are asked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from sqlalchemy import Engine

from telemetry.cli.exporter import looks_at
from telemetry.collector.persist import Collector
from telemetry.exporter.database import replica
from telemetry.exporter.health import Teller
from telemetry.exporter.look import Looks
from telemetry.monitoring.counters import definitions
from telemetry.monitoring.port import server
from telemetry.monitoring.port.beat import LastTick
from telemetry.monitoring.port.connection import BrokerPing
from telemetry.monitoring.port.heartbeat import Heartbeat
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.store.follower import Follower
from tests.batches import batch, key, readings
from tests.waiting import eventually

PAGE = (Path(__file__).parents[2] / "docs" / "METRICS.md").read_text(encoding="utf-8")
LISTED = set(re.findall(r"`((?:cross_cluster|message_queue|telemetry)_[a-z_]+)`", PAGE))
# Under DCGM's names, and those that prometheus_client knows of any process: the page speaks of them as a whole.
FOREIGN = ("DCGM_FI_", "process_", "python_")


def names(metrics: Iterable[Metric]) -> set[str]:
    """As Prometheus shows them: the name of a counter ends in `_total`."""
    shown = {f"{metric.name}_total" if metric.type == "counter" else metric.name for metric in metrics}
    return {name for name in shown if not name.startswith(FOREIGN)}


def counted() -> set[str]:
    registry = CollectorRegistry()
    for group in definitions.Group.__constraints__:
        group(registry)
    return names(registry.collect())


def shown_on_a_port(settings: Settings) -> set[str]:
    registry = server.registry_of(
        settings, "beat", [BrokerPing(settings, "beat"), Heartbeat(None, "c", "beat"), LastTick(settings)]
    )
    return names(registry.collect())


def looked_up(settings: Settings) -> set[str]:
    looks = looks_at(settings)
    for look in looks:
        look.once()
    assert all(look.is_fresh() for look in looks)
    return names(Looks(looks).collect())


def test_the_page_lists_the_metrics_there_are(
    settings: Settings, engine: Engine, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The fixture closes its engine; the exporter's own lasts as long as its process.
    monkeypatch.setattr("telemetry.cli.exporter.make_engine", lambda *_, **__: engine)
    settings = replace(settings, exporter_gpus=True, database_capacity_bytes=1 << 30)
    # One batch, so that there are a commit, a partition and a GPU to speak of.
    acks = Acks(redis_client, Keys(settings.key_prefix), 60)
    Collector(settings, engine, acks).persist(*wire.encode(batch(readings((key(), 0, 1.0)))))
    shown = counted() | shown_on_a_port(settings) | looked_up(settings)
    with closing(Teller(engine, settings)) as teller:
        shown |= names(teller())
    with closing(Follower(engine, engine, (engine, engine), 10.0)) as follower:
        eventually(lambda: follower.is_read)
        shown |= names(replica(follower))
    assert len(shown) > 40
    assert shown == LISTED
