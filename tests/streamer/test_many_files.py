"""Ten thousand files and a limit of 1,024 descriptors: a real worker stores all of them, and then has little to do."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import redis

from telemetry.progress import reading
from telemetry.progress.keys import Keys
from telemetry.settings import Settings
from tests.fixtures.processes import ROOT
from tests.streamer.edge import HEADER, append, rows
from tests.waiting import eventually

FILES, ROWS = 10_000, 3
LIMIT = 1024
IDLE_S = 0.5
TICK = re.compile(r"tick (\d+\.\d+) (\d+)\.")
OPTIONS = ("--without-gossip", "--without-mingle", "-l", "info", "-n", "streamer@test")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_files_are_stored_and_an_idle_tick_is_short(
    start: Callable[..., subprocess.Popen[bytes]],
    start_collector: Callable[[], object],
    verify: Callable[..., dict[str, int]],
    settings: Settings,
    redis_client: redis.Redis,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    paths = [folder / f"job-{number:05}.csv" for number in range(FILES)]
    for number, path in enumerate(paths):
        path.write_text(HEADER + rows(ROWS * number, ROWS * number + ROWS))
        # One of ten has just been written, the others are of jobs that ended long ago.
        if number % 10:
            os.utime(path, (0, 0))
    edge = {"TELEMETRY_ROLE": "edge", "TELEMETRY_SOURCES": str(folder / "*.csv"), "TELEMETRY_STREAM_INTERVAL_S": "1"}
    worker = start("celery", "-A", "tests.streamer.limited:app", "worker", *OPTIONS, **edge, PYTHONPATH=str(ROOT))
    start_collector()
    begun_s = time.monotonic()
    start("celery", "-A", "telemetry", "beat", **edge)
    log = tmp_path / "0-celery.log"

    def ticks() -> list[tuple[float, int]]:
        return [(float(took_s), int(taken)) for took_s, taken in TICK.findall(log.read_text())]

    def is_stored() -> bool:
        assert worker.poll() is None, log.read_text()[-4000:]
        states = reading.sources(redis_client, Keys(settings.key_prefix), settings.edge).values()
        committed = {state.path: state.window.committed for state in states}
        return all(committed.get(str(path)) == path.stat().st_size for path in paths)

    eventually(is_stored, 500, every_s=2)
    stored_s = time.monotonic() - begun_s
    # Files at rest are read on.
    grown = paths[::100]
    for number, path in enumerate(grown):
        append(path, rows(FILES * ROWS + number, FILES * ROWS + number + 1))
    eventually(is_stored, 100, every_s=1)
    readings = FILES * ROWS + len(grown)
    counts = verify(folder)
    assert (counts["read"], counts["stored"], counts["missing"], counts["extra"]) == (readings, readings, 0, 0)
    before = len(ticks())
    eventually(lambda: len(ticks()) >= before + 10, 60)
    idle_s = [took_s for took_s, _ in ticks()[before:]]
    taken = max(number for _, number in ticks())
    click.echo(f"{FILES} files stored in {stored_s:.0f} s; idle ticks {statistics.median(idle_s):.3f} s, {taken} descriptors")
    assert statistics.median(idle_s) < IDLE_S
    assert taken < LIMIT
    assert "cannot read" not in log.read_text()
