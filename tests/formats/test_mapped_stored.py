"""A wide file by a mapping, from its bytes through edge, collector and database back to `verify`, and under another mapping."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import redis
from sqlalchemy import Engine

from telemetry.cli.verify import examine
from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.settings import Settings, sources_file
from tests.fixtures.services import Query
from tests.sites import passed_on
from tests.streamer.edge import Edge, append
from tests.waiting import eventually

SAID = """
[[source]]
path = "*/run.csv"
host = "node-7"
time_zone = "Europe/Berlin"
time = { column = ["Datum", "Zeit"], form = "%d.%m.%Y %H:%M:%S" }
gpu = { index = "gpu" }
delimiter = ";"
decimal = ","
[source.metrics]
"Leistung(mW)" = "DCGM_FI_DEV_POWER_USAGE [mW]"
"Auslastung" = "DCGM_FI_DEV_GPU_UTIL"
"""
HEADER = "Datum;Zeit;gpu;Leistung(mW);Auslastung\n"
# Each with what becomes of it: stored, duplicate, conflict, blank, quarantined.
ODD = {
    "05.11.2025;10:00:00;0;79070,5;0 %\n": (2, 0, 0, 0, 0),
    "05.11.2025;10:00:00;0;79070,5;1 %\n": (0, 1, 1, 0, 0),
    "05.11.2025;10:00:01;0;;[N/A]\n": (0, 0, 0, 2, 0),
    "05.11.2025;10:00:02;0;79.070;0 %\n": (1, 0, 0, 0, 1),
    "26.10.2025;02:30:00;0;79070,5;0 %\n": (0, 0, 0, 0, 1),
    "05.11.2025;10:00:03;all;79070,5;0 %\n": (0, 0, 0, 0, 1),
    "05.11.2025;10:00:04;0;79070,5\n": (0, 0, 0, 0, 1),
    HEADER: (0, 0, 0, 0, 0),
}
CLASSES = ("stored", "duplicate", "conflict", "blank", "quarantined")


def row(second: int) -> str:
    """A row of two readings."""
    return f"05.11.2025;11:{second // 60:02}:{second % 60:02};cuda:{second % 4};{second}000,5;{second} %\n"


def test_it_is_stored_and_verified_exactly(
    settings: Settings, redis_client: redis.Redis, engine: Engine, query: Query, tmp_path: Path
) -> None:
    path, said = tmp_path / "run.csv", tmp_path / "sources.toml"
    said.write_text(SAID)
    path.write_text(HEADER + "".join(map(row, range(30))) + "".join(ODD))
    rules = sources_file.parse(str(said))
    mine = replace(settings, sources=(str(path),), batch_size=10, catch_up_size=10, source_settings=rules)
    edge = Edge(mine, redis_client)
    collector = Collector(mine, engine, Acks(redis_client, Keys(settings.key_prefix), 60))

    with edge.streamer() as streamer:
        eventually(lambda: passed_on(edge, streamer, collector, path))
        append(path, "".join(map(row, range(30, 90))))
        eventually(lambda: passed_on(edge, streamer, collector, path))
    expected = dict(zip(CLASSES, map(sum, zip(*ODD.values(), strict=True)), strict=True))
    expected["stored"] += 90 * 2
    counts = examine(mine, [path]).counts
    assert counts == dict.fromkeys(counts, 0) | expected | {"read": sum(expected.values())}
    assert query("""
        SELECT gpus.host, metrics.name, samples.value FROM samples JOIN series ON series.id = samples.series_id
        JOIN gpus ON gpus.id = series.gpu_id JOIN metrics ON metrics.id = series.metric_id
        WHERE samples.ts = '2025-11-05T10:01:05Z' ORDER BY metrics.name
    """) == [("node-7", "DCGM_FI_DEV_GPU_UTIL", 65.0), ("node-7", "DCGM_FI_DEV_POWER_USAGE", 65.0005)]
    assert {batch.source.format for batch in edge.published} == {"mapped"}

    # Another meaning of the same bytes is another batch: the centre does not take it for what it has.
    before = {batch.batch_id for batch in edge.published}
    said.write_text(SAID.replace("mW]", "W]"))
    other = Edge(replace(mine, source_settings=sources_file.parse(str(said)), edge="lab/other"), redis_client)
    with other.streamer() as again:

        def is_published() -> bool:
            again.tick(0)
            return bool(other.fetch())

        eventually(is_published)
    assert before.isdisjoint(batch.batch_id for batch in other.published)
