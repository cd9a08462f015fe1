"""`telemetry forget`: a source that is of no interest leaves `status` and the lists; what is stored stays."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine, text

from telemetry.settings import Settings
from telemetry.store.read import ingest
from telemetry.store.read.ingest import SourceFilter
from tests.fixtures.services import Query
from tests.streamer.edge import HEADER, Edge, rows

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def shown(telemetry: Run) -> Callable[[], list[str]]:
    """The names of the files that `status` shows."""
    return lambda: [Path(source["path"]).name for source in json.loads(telemetry("status", "--json").stdout)["sources"]]


def listed(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [Path(row.path).name for row in connection.execute(ingest.sources(SourceFilter()))]


def test_a_foreign_file_is_forgotten_and_may_come_again(
    start_collector: Callable[[], object],
    telemetry: Run,
    engine: Engine,
    query: Query,
    shown: Callable[[], list[str]],
    tmp_path: Path,
) -> None:
    foreign, good = tmp_path / "passwd", tmp_path / "good.csv"
    foreign.write_text("root:x:0\n")
    good.write_text(HEADER + rows(0, 3))
    start_collector()
    assert telemetry("ingest", "--timeout", "60", foreign, good).returncode == 1
    assert (sorted(shown()), listed(engine)) == (["good.csv", "passwd"], ["good.csv", "passwd"])
    done = telemetry("forget", foreign)
    assert (done.returncode, done.stdout) == (0, f"ingest/node {foreign}: forgotten\n")
    assert (shown(), listed(engine)) == (["good.csv"], ["good.csv"])
    assert query("SELECT count(*) FROM quarantine") == [(0,)]
    # The collector has the id of its source at hand.
    assert json.loads(telemetry("ingest", "--json", "--timeout", "60", foreign).stdout)["dead_batches"] == 0
    assert sorted(shown()) == ["good.csv", "passwd"]
    assert telemetry("forget", "--json", foreign, good).returncode == 0
    assert (shown(), listed(engine)) == ([], ["good.csv"])
    assert query("SELECT count(*) FROM samples") == [(3,)]
    assert query("SELECT action, count(*)::int FROM audit_log GROUP BY action") == [("forget", 3)]


def test_what_there_is_not_and_what_is_held_is_said(
    settings: Settings, redis_client: redis.Redis, engine: Engine, telemetry: Run, tmp_path: Path
) -> None:
    file = tmp_path / "a.csv"
    file.write_text(HEADER + rows(0, 3))
    edge = Edge(replace(settings, sources=(str(file),)), redis_client)
    with edge.streamer() as streamer:
        streamer.tick(0)
        held = telemetry("forget", file)
        assert (held.returncode, "a streamer works on it" in held.stdout) == (1, True)
        assert len(edge.states()) == 1
    assert telemetry("forget", "--edge", "other/node", file).returncode == 1
    told = telemetry("forget", "--json", file, tmp_path / "b.csv")
    assert (told.returncode, [entry["status"] for entry in json.loads(told.stdout)]) == (1, ["forgotten", "unknown"])
    assert edge.states() == []
    with engine.connect() as connection:
        assert connection.execute(text("SELECT target FROM audit_log")).scalars().all() == [str(file)]
