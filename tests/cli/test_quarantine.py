"""`telemetry quarantine` on rows that a collector has put there."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, text

from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.readings.rows import QuarantinedRow
from telemetry.settings import Settings
from tests.batches import batch, key, readings

Run = Callable[..., subprocess.CompletedProcess[str]]
ROWS = (
    QuarantinedRow(40, 2, "bad_value", b'x,"a\nb",\xc3\xa9'),
    QuarantinedRow(90, 4, "bad_text", b"\xff\0,1"),
    QuarantinedRow(95, 5, "bad_value", b"7,,\x1b[31mred"),
)


@pytest.fixture(autouse=True)
def quarantined(settings: Settings, engine: Engine, redis_client: redis.Redis) -> None:
    """Three rows of one file, and one of another edge that is an hour old."""
    collector = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))
    collector.persist(*wire.encode(batch(readings((key(), 0, 1.0), quarantined=ROWS))))
    other = wire.Source("source-2", "/data/b.csv", "fingerprint-2", "dcgm", None)
    old = QuarantinedRow(7, 1, "too_new", b"2099,1")
    collector.persist(*wire.encode(batch(readings(quarantined=(old,)), "b2", source=other, edge="test/other")))
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE quarantine SET quarantined_at = now() - interval '1 hour' WHERE fingerprint = 'fingerprint-2'")
        )


def listed(telemetry: Run, *options: object) -> list[Any]:
    """What `list --json` shows."""
    done = telemetry("quarantine", "list", "--json", *options)
    assert done.returncode == 0, done.stderr
    rows: list[Any] = json.loads(done.stdout)
    return rows


def test_rows_are_listed_and_each_filter_picks_its_own(telemetry: Run, engine: Engine) -> None:
    rows = listed(telemetry)
    assert [row["line"] for row in rows] == [1, 5, 4, 2]
    with engine.connect() as connection:
        half = connection.scalar(text("SELECT (now() - interval '30 minutes')::text"))
        of_a = connection.scalar(text("SELECT id FROM sources WHERE path = '/data/a.csv'"))
    since = str(half).replace(" ", "T")
    for options, lines in (
        (("--edge", "test/other"), [1]),
        (("--reason", "bad_value"), [5, 2]),
        (("--source", "/data/b.csv"), [1]),
        (("--source", of_a, "--reason", "bad_text"), [4]),
        (("--since", since), [5, 4, 2]),
        (("--since", "2100-01-01"), []),
        (("--limit", 2), [1, 5]),
    ):
        assert [row["line"] for row in listed(telemetry, *map(str, options))] == lines
    mangled = next(row for row in rows if row["line"] == 4)
    assert (mangled["raw"], base64.b64decode(mangled["raw_base64"])) == (None, b"\xff\0,1")
    told = telemetry("quarantine", "list", "--edge", "test/node").stdout
    assert "bad_value  test/node /data/a.csv:2" in told
    assert "3 rows in quarantine, 3 shown\n  bad_value 2: its value is no number; write" in told
    assert "\x1b" not in told
    assert telemetry("quarantine", "list", "--edge", "test/none").stdout == "nothing in quarantine\n"


def test_rows_are_exported_as_they_stood(telemetry: Run, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    done = telemetry("quarantine", "export", "--edge", "test/node", "-o", path)
    assert (done.returncode, done.stderr) == (0, "3 rows written\n")
    assert path.read_bytes() == b"".join(row.raw + b"\n" for row in ROWS)
    lines = telemetry("quarantine", "export", "--json").stdout.splitlines()
    assert [json.loads(line)["byte_offset"] for line in lines] == [40, 90, 95, 7]
    assert json.loads(lines[0])["raw"] == 'x,"a\nb",é'
    again = telemetry("quarantine", "export", "-o", path)
    assert again.returncode == 1
    assert f"{path} is there already" in again.stderr


def test_bad_usage_is_told(telemetry: Run) -> None:
    done = telemetry("quarantine", "list", "--since", "yesterday")
    assert (done.returncode, "'yesterday' must be a time like" in done.stderr) == (2, True)
    done = telemetry("quarantine", "list", "--source", "/data/none.csv")
    assert (done.returncode, "the database knows no source at /data/none.csv" in done.stderr) == (1, True)
