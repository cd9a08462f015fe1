"""`telemetry status`: a file may be deleted only when nothing of it is needed any more; what is lost is said, in any name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from sqlalchemy import Engine, text

from telemetry.broker import now_us
from telemetry.collector.persist import Collector
from telemetry.exporter import broker
from telemetry.progress.acks import Acks
from telemetry.progress.claims import Claims
from telemetry.progress.keys import Keys
from telemetry.progress.signs import signs
from telemetry.readings import wire
from telemetry.settings import Settings
from tests.streamer.edge import HEADER, Edge, rows
from tests.waiting import eventually

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def edge(settings: Settings, redis_client: redis.Redis, tmp_path: Path) -> Edge:
    """An edge that follows the folder."""
    return Edge(replace(settings, sources=(str(tmp_path / "*.csv"),), batch_size=10, catch_up_size=10), redis_client)


def test_a_renamed_file_is_kept_for_its_dead_letters_and_for_gaps_that_are_new(
    settings: Settings, engine: Engine, edge: Edge, telemetry: Run, tmp_path: Path
) -> None:
    file = tmp_path / "b.csv"
    file.write_text(HEADER + rows(0, 35))
    collector = Collector(settings, engine, Acks(edge.client, Keys(settings.key_prefix), 60))
    with edge.streamer() as streamer:
        streamer.tick(0)
        batches = edge.fetch()
        for batch in batches:
            header, payload = wire.encode(batch)
            collector.persist(header if batch is not batches[0] else header | {"digest": "0" * 32}, payload)
        # A name before the one that the ledger has.
        file.rename(tmp_path / "a.csv")
        streamer.tick(0)
        streamer.tick(0)

    def told() -> list[tuple[str, int, int, bool]]:
        sources = json.loads(telemetry("status", "--json", TELEMETRY_CLOSE_AFTER_S="0").stdout)["sources"]
        return [(Path(s["path"]).name, s["lag_bytes"], s["dead_letters"], s["safe_to_delete"]) for s in sources]

    assert told() == [("a.csv", 0, 1, False)]
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM dead_letters"))
    assert told() == [("a.csv", 0, 0, True)]
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM batches WHERE start_offset = :start"), {"start": batches[1].start})
    assert told() == [("a.csv", 0, 0, False)]


def test_what_needs_a_look_stands_beside_a_file_that_is_safe_to_delete(
    settings: Settings, engine: Engine, edge: Edge, telemetry: Run, tmp_path: Path
) -> None:
    # A time again with another value, and a line that is no reading.
    (tmp_path / "a.csv").write_text(HEADER + rows(0, 5) + rows(4, 5).replace("000004\n", "000009\n") + "not,a,reading\n")
    source = streamed(settings, engine, edge, telemetry)
    assert (source["quarantined"], source["conflicts"], source["safe_to_delete"]) == (1, 1, True)
    text = telemetry("status", TELEMETRY_CLOSE_AFTER_S="0").stdout
    assert "safe to delete, 1 in quarantine, 1 in conflict" in text


def test_a_replay_shows_how_far_it_is_and_is_never_safe_to_delete(
    settings: Settings, engine: Engine, redis_client: redis.Redis, telemetry: Run, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(HEADER + rows(0, 3) + rows(3600, 3601))
    replaying = replace(settings, sources=(str(tmp_path / "*.csv"),), loop_mode=True)
    source = streamed(settings, engine, Edge(replaying, redis_client), telemetry)
    assert (source["replayed"], source["safe_to_delete"]) == (True, False)
    assert f"replaying, {source['replayed_ratio']:.0%}" in telemetry("status", TELEMETRY_CLOSE_AFTER_S="0").stdout


def streamed(settings: Settings, engine: Engine, edge: Edge, telemetry: Run) -> dict[str, Any]:
    """What is shown of the one source of an edge after its batches are stored."""
    collector = Collector(settings, engine, Acks(edge.client, Keys(settings.key_prefix), 60))
    with edge.streamer() as streamer:
        streamer.tick(0)
        for batch in edge.fetch():
            collector.persist(*wire.encode(batch))
        streamer.tick(0)
    (source,) = json.loads(telemetry("status", "--json", TELEMETRY_CLOSE_AFTER_S="0").stdout)["sources"]
    return cast("dict[str, Any]", source)


def test_an_edge_whose_streamer_is_gone_is_silent(
    settings: Settings, redis_client: redis.Redis, edge: Edge, telemetry: Run
) -> None:
    keys = Keys(settings.key_prefix)
    Claims(redis_client, keys, "lab/node-1", "streamer", 30).expect(60)
    Claims(redis_client, keys, "lab/node-2", "streamer", 30).expect(0)
    eventually(lambda: signs(redis_client, keys)["lab/node-2"].silent_s(now_us(redis_client)) > 0.1)

    told = json.loads(telemetry("status", "--json").stdout)
    there, gone = told["edges"]
    assert (there["edge"], there["silent_s"]) == ("lab/node-1", 0)
    assert (gone["edge"], gone["silent_s"] > 0) == ("lab/node-2", True)
    assert abs(datetime.now(UTC) - datetime.fromisoformat(gone["last_seen"])) < timedelta(minutes=5)
    text = telemetry("status").stdout
    assert "edge      lab/node-2: 0 sources, 0 bytes behind  SILENT for " in text
    assert text.count("SILENT") == 1


def test_workers_are_shown_with_the_edge_that_they_stream_for(
    start_collector: Callable[..., object], start_edge: Callable[..., object], telemetry: Run, tmp_path: Path
) -> None:
    start_collector()
    start_edge(tmp_path / "*.csv", TELEMETRY_EDGE="lab/node-1")

    def told() -> dict[str, Any]:
        report: dict[str, Any] = json.loads(telemetry("status", "--json").stdout)
        assert len(report["workers"] or []) == 2
        (edge,) = report["edges"]
        assert edge["silent_s"] == 0
        return cast("dict[str, Any]", edge)

    edge = eventually(told, 60)
    (streamer,) = edge["workers"]
    assert (edge["edge"], streamer.rpartition(":")[2].isdecimal()) == ("lab/node-1", True)
    eventually(lambda: f"{streamer} (lab/node-1)" in telemetry("status").stdout, 20)


# 0.03 to 0.1 s each, and nothing of them is of use here.
UNUSED = {"celery", "numpy", "opentelemetry", "pyarrow", "sqlalchemy.orm"}


def test_it_imports_no_more_than_it_needs() -> None:
    code = (
        "import sys; from telemetry.cli import main; main.get_command(None, 'status');"
        f"print(sorted({UNUSED!r} & sys.modules.keys()), 'redis' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[] True\n"


def test_what_is_lost_of_a_file_whose_name_is_no_text_is_shown_and_counted(
    settings: Settings, edge: Edge, telemetry: Run, tmp_path: Path
) -> None:
    file = tmp_path / os.fsdecode(b"\xff.csv")
    file.write_text(HEADER + rows(0, 35))
    with edge.streamer(republish_after_s=0.1) as streamer:
        streamer.tick(0)
        assert edge.fetch()
        file.write_text(HEADER + rows(100, 101))

        def found_lost() -> bool:
            streamer.tick(0)
            edge.fetch()
            return bool(edge.lost())

        eventually(found_lost, 20)
    told = json.loads(telemetry("status", "--json").stdout)
    (lost,) = told["lost"]
    assert lost["path"].endswith("\ufffd.csv")
    assert lost["end"] - lost["start"] == 35 * len(rows(0, 1))
    assert "\ufffd.csv" in telemetry("status").stdout
    shown = {metric.name: metric for metric in broker.look(edge.client, settings)}
    (counted,) = shown["telemetry_edge_lost_bytes"].samples
    assert counted.value == lost["end"] - lost["start"]
