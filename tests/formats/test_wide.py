"""A new format, from its file to the database and back to `verify`: two modules and a line in each of two lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine

from telemetry.cli.verify import examine
from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.settings import Settings
from tests.fixtures.services import Query
from tests.formats.registered import registered
from tests.formats.toy_wide import ToyWide
from tests.formats.toy_wide_reader import ToyWideReader
from tests.sites import passed_on
from tests.streamer.edge import Edge, append
from tests.waiting import eventually

HEADER = "time,gpu,DCGM_FI_DEV_GPU_UTIL,DCGM_FI_DEV_POWER_USAGE,DCGM_FI_DEV_GPU_TEMP\n"
# Each with what becomes of it: stored, duplicate, conflict, blank, quarantined.
ODD = {
    "2025-07-18T20:41:00Z,GPU-1,1,2,3\n": (3, 0, 0, 0, 0),
    "2025-07-18T20:41:00Z,GPU-1,1,2,4\n": (0, 2, 1, 0, 0),
    "2025-07-18T20:41:01Z,GPU-1,,N/A,3\n": (1, 0, 0, 2, 0),
    '2025-07-18T20:41:02Z,"GPU-1",x,2,""\n': (1, 0, 0, 1, 1),
    "2025-07-18T20:41:03Z,GPU-1,x,y,3\n": (1, 0, 0, 0, 1),
    "yesterday,GPU-1,1,2,3\n": (0, 0, 0, 0, 1),
    "2025-07-18T20:41:04Z,,1,2,3\n": (0, 0, 0, 0, 1),
    "2025-07-18T20:41:05Z,GPU-1,1,2\n": (0, 0, 0, 0, 1),
    HEADER: (0, 0, 0, 0, 0),
}
CLASSES = ("stored", "duplicate", "conflict", "blank", "quarantined")


def row(second: int) -> str:
    """A row of three readings."""
    return f"2025-07-18T20:42:{second:02}Z,GPU-{second % 4},{second},{second / 8},{-second}\n"


@pytest.fixture
def wide() -> Iterator[None]:
    """The toy format is registered."""
    with registered(ToyWide, ToyWideReader):
        yield


@pytest.mark.usefixtures("wide")
def test_a_wide_file_is_stored_and_verified_exactly(
    settings: Settings, redis_client: redis.Redis, engine: Engine, query: Query, tmp_path: Path
) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(HEADER + "".join(map(row, range(20))) + "".join(ODD))
    mine = replace(settings, sources=(str(path),), batch_size=10, catch_up_size=10)
    edge = Edge(mine, redis_client)
    collector = Collector(mine, engine, Acks(redis_client, Keys(mine.key_prefix), 60))

    with edge.streamer() as streamer:
        eventually(lambda: passed_on(edge, streamer, collector, path))
        append(path, "".join(map(row, range(20, 40))))
        eventually(lambda: passed_on(edge, streamer, collector, path))

    # A batch of 10 readings at most has 3 of these records.
    assert [batch.readings.records for batch in edge.published[:3]] == [3, 3, 3]
    assert {batch.source.format for batch in edge.published} == {"toy-wide"}
    expected = dict(zip(CLASSES, map(sum, zip(*ODD.values(), strict=True)), strict=True))
    expected["stored"] += 40 * 3
    counts = examine(mine, [path]).counts
    assert counts == dict.fromkeys(counts, 0) | expected | {"read": sum(expected.values())}
    (ledger,) = query("""
        SELECT sum(stored), sum(duplicate), sum(conflict), sum(blank), sum(quarantined), sum(rows), sum(records) FROM ledger
    """)
    assert [int(each) for each in ledger] == [*expected.values(), counts["read"], 40 + len(ODD)]
    assert query("SELECT count(*), count(DISTINCT gpu_id) FROM series") == [(12, 4)]
    reasons = [("bad_columns",), ("bad_timestamp",), ("bad_value",), ("bad_value",), ("no_gpu",)]
    assert query("SELECT reason FROM quarantine ORDER BY reason") == reasons
