"""`telemetry sources` shows each source, and says what to do about it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import Engine

from telemetry.cli.sources import lines
from telemetry.cli.todo import todo
from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from tests.cli.test_status_lines import QUIET
from tests.streamer.edge import HEADER, Edge, rows

Run = Callable[..., subprocess.CompletedProcess[str]]
SOURCE: dict[str, Any] = {**QUIET, "format": "dcgm", "rows_per_s": 0.0}


def test_each_source_is_shown_with_what_to_do(
    settings: Settings, engine: Engine, redis_client: redis.Redis, telemetry: Run, tmp_path: Path
) -> None:
    edge = Edge(replace(settings, sources=(str(tmp_path / "*.csv"),)), redis_client)
    collector = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))
    (tmp_path / "a.csv").write_text(HEADER + rows(0, 60))
    (tmp_path / "b.csv").write_text(HEADER + rows(100, 105) + "not,a,reading\n")
    (tmp_path / "c.csv").write_text("time;value\n1;2\n")
    with edge.streamer() as streamer:
        streamer.tick(0)
        for batch in edge.fetch():
            collector.persist(*wire.encode(batch))
        streamer.tick(0)
    found = json.loads(telemetry("sources", "--json", TELEMETRY_CLOSE_AFTER_S="0").stdout)
    shown = {Path(source["path"]).name: source for source in found}
    assert {name: source["format"] for name, source in shown.items()} == {"a.csv": "dcgm", "b.csv": "dcgm", "c.csv": ""}
    assert (shown["a.csv"]["rows_per_s"], shown["b.csv"]["quarantined"]) == (1.0, 1)
    assert shown["a.csv"]["todo"] == ["it may be deleted: the database has taken all of it"]
    assert shown["b.csv"]["todo"][0].startswith(f"telemetry quarantine list --source {tmp_path}/b.csv shows the rows")
    assert "separated by semicolons" in shown["c.csv"]["todo"][0]
    bad = telemetry("sources", "--bad", TELEMETRY_CLOSE_AFTER_S="0")
    assert bad.returncode == 0
    assert "a.csv" not in bad.stdout
    assert bad.stdout.endswith("\n2 sources; 2 need a look\n")
    assert "  NOT READ, " in bad.stdout
    assert telemetry("sources", "--edge", "no/edge").stdout == "0 sources\n"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"lag_bytes": 5, "safe_to_delete": False}, "start the streamer of a/n"),
        ({"dead_letters": 1, "safe_to_delete": False}, "telemetry deadletter list"),
        ({"unread_lines": 2, "safe_to_delete": False}, "telemetry check /d/a.csv"),
        ({"series_column": "id"}, "take out the column id"),
        ({"conflicts": 2}, "telemetry verify /d/a.csv"),
        ({"expired": 2, "safe_to_delete": False}, "telemetry db retention"),
        ({"foreign": True, "safe_to_delete": False}, "no format knows its header"),
    ],
)
def test_what_to_do_follows_from_what_is_wrong(more: dict[str, Any], says: str) -> None:
    assert says in todo({**SOURCE, **more}, is_silent=True)[0]


def test_a_source_that_waits_for_collectors_says_so_and_one_that_grows_needs_nothing() -> None:
    waiting = {**SOURCE, "in_flight": 3, "safe_to_delete": False}
    assert "see whether collectors run" in todo(waiting, is_silent=False)[0]
    assert todo({**waiting, "rows_per_s": 7.0}, is_silent=False) == []
    # Where the database does not answer, nobody knows the rate.
    assert todo({**waiting, "rows_per_s": None}, is_silent=False) == []
    text = list(lines([{**SOURCE, "growing": True, "rows_per_s": 7.5, "todo": []}]))
    assert text == ["a/n /d/a.csv", "  format dcgm, 27 MB of 27 MB committed, 7.5 rows/s, growing", "1 source"]
