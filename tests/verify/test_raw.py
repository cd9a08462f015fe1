"""`verify --raw` counts lines against rows, and knows nothing of what a line says."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine

from telemetry.settings import Settings
from tests.sites import Site, site_of
from tests.streamer.edge import HEADER, append, rows
from tests.waiting import eventually

Run = Callable[..., subprocess.CompletedProcess[str]]
BLANK = "2025-07-18T02:00:00Z,DCGM_FI_DEV_GPU_UTIL,0,GPU-1,host-1,\n"
TORN = "2025-07-18T02:00:00Z,DCGM_FI_DEV_GPU_UTIL\n"
OF_PLACE = "2025-07-18T02:00:01Z,DCGM_FI_DEV_GPU_UTIL,7,,host-2,5\n"


@pytest.fixture
def site(settings: Settings, engine: Engine, redis_client: redis.Redis, tmp_path: Path) -> Iterator[Site]:
    """A file with every kind of line: readings, a repetition, empty lines, a header again, a blank, a torn one."""
    path = tmp_path / "dump.csv"
    append(path, HEADER + rows(0, 100) + "\n" + rows(7, 8) + HEADER + BLANK + TORN + OF_PLACE + "\r\n")
    with site_of(path, settings, engine, redis_client) as made:
        eventually(made.is_committed)
        yield made


def counted(telemetry: Run, path: Path) -> tuple[int, dict[str, int]]:
    done = telemetry("verify", "--raw", "--json", path)
    return done.returncode, json.loads(done.stdout)


def test_every_line_is_a_row_once(site: Site, telemetry: Run) -> None:
    expected = {"gpus": 2, "lines": 104, "repeated": 1, "samples": 101, "quarantined": 1, "conflict": 0, "blank": 1}
    assert counted(telemetry, site.path) == (0, expected | {"duplicate": 1, "expired": 0, "unaccounted": 0})
    assert "every line is in the database once" in telemetry("verify", "--raw", site.path).stdout


def test_a_file_that_was_read_twice_counts_once(site: Site, settings: Settings, telemetry: Run) -> None:
    site.client.delete(*site.client.keys(f"{settings.key_prefix}:source*"))
    site.run("UPDATE batches SET batch_id = batch_id || '-before'")
    with site_of(site.path, settings, site.engine, site.client) as again:
        eventually(again.is_committed)
    assert counted(telemetry, site.path)[0] == 0


def test_a_name_that_is_not_utf_8_is_found(
    settings: Settings, engine: Engine, redis_client: redis.Redis, tmp_path: Path, telemetry: Run
) -> None:
    path = tmp_path / "d\udcffmp.csv"
    append(path, HEADER + rows(0, 3) + BLANK)
    with site_of(path, settings, engine, redis_client) as site:
        eventually(site.is_committed)
    assert counted(telemetry, path)[0] == 0


def test_a_line_that_is_nowhere_is_told(site: Site, telemetry: Run) -> None:
    site.run("DELETE FROM samples WHERE value IN (3, 4)")
    status, counts = counted(telemetry, site.path)
    assert (status, counts["unaccounted"]) == (1, 2)
    assert "2 lines are nowhere in the database" in telemetry("verify", "--raw", site.path).stdout


def test_a_row_that_no_line_says_is_told(site: Site, telemetry: Run) -> None:
    site.run("INSERT INTO samples SELECT series_id, ts + interval '1 us', value FROM samples WHERE value = 3")
    status, counts = counted(telemetry, site.path)
    assert (status, counts["unaccounted"]) == (1, -1)
