"""Which series a file's readings are: under the rules of their times, and of the GPUs of the edge that told of the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine

from telemetry.cli.verify import examine
from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.readings.series import SeriesKey
from telemetry.settings import Settings
from telemetry.store import rules
from telemetry.store.rules import Rule
from telemetry.store.upkeep import chores
from telemetry.verify import files
from telemetry.verify.formats.base import Rules
from tests.batches import T0_US, batch, now_s, readings

T0 = datetime.fromtimestamp(T0_US / 1_000_000, UTC)
TEMP = "DCGM_FI_DEV_GPU_TEMP"
Store = Callable[..., Path]


@pytest.fixture
def store(settings: Settings, engine: Engine, redis_client: redis.Redis, tmp_path: Path) -> Store:
    """Writes a file of readings (second, value), and stores it as an edge would send it."""
    collector = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))

    def write(edge: str, *rows: tuple[int, float], uuid: str = "", release: str = "a", again: int = 1) -> Path:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.csv"
        lines = [
            f"{(T0 + timedelta(seconds=second)).isoformat()},{TEMP},0,{uuid},localhost,{value},{release}\n"
            for second, value in rows
        ]
        path.write_text("timestamp,metric_name,gpu_id,uuid,Hostname,value,release\n" + "".join(lines))
        read = files.read(path, Rules.of(settings, datetime.now(UTC)), files.SeriesNumbers())
        assert read.fingerprint
        series = SeriesKey(TEMP, uuid, "localhost", 0, "", "", {"release": release}).text()
        content = readings(*((series, second, value) for second, value in rows))
        source = wire.Source("s", str(path), read.fingerprint, "dcgm", None)
        for n in range(again):
            sent = batch(content, f"{path}-{n}", edge=edge, source=source)
            assert collector.persist(*wire.encode(sent)).status == "stored"
        return path

    return write


def test_files_of_machines_that_are_called_the_same_are_told_apart(store: Store, settings: Settings) -> None:
    paths = [store(f"a/{n}", *((second, 10.0 * n + second) for second in range(5))) for n in range(2)]
    outcome = examine(settings, paths)
    assert outcome.agrees()
    assert outcome.counts["stored"] == 10
    assert all(examine(settings, [path]).agrees() for path in paths)


def test_readings_are_found_under_the_rule_of_their_time(store: Store, settings: Settings, engine: Engine) -> None:
    paths = [store("a/one", (second, 1.0), release=release, uuid="GPU-1") for second, release in enumerate("ab")]
    rule = Rule.of(settings)
    with engine.begin() as connection:
        rules.change(connection, replace(rule, volatile=rule.volatile | {"release"}))
    later = now_s() + 60
    paths += [
        store("a/one", (second, 1.0), (later + second, 2.0), release=release, uuid="GPU-1", again=2)
        for second, release in enumerate("ab")
    ]
    outcome = examine(settings, paths)
    assert outcome.agrees()
    assert (outcome.counts["stored"], outcome.counts["duplicate"]) == (4, 2)


def test_readings_of_a_gpu_that_was_joined_are_found(store: Store, settings: Settings, engine: Engine) -> None:
    paths = [store("a/one", (0, 1.0), (1, 2.0)), store("a/one", (0, 1.0), (2, 3.0), uuid="GPU-1")]
    assert chores.run(engine, settings, chores.JOINING, 10) == 1
    assert all(examine(settings, [path]).agrees() for path in paths)
    assert examine(settings, paths).counts["stored"] == 4
