"""Five thousand files at which nothing happens: a tick costs little."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import replace
from pathlib import Path

import click
import pytest
import redis

from telemetry.settings import Settings
from tests.streamer.edge import HEADER, Edge, rows
from tests.waiting import eventually

FILES, ROWS = 5_000, 3
TICKS = 30
# Of a core, whatever else the machine does.
TICK_S = 0.05


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_idle_tick_over_five_thousand_files_is_cheap(settings: Settings, redis_client: redis.Redis, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(FILES):
        path = folder / f"job-{number:05}.csv"
        path.write_text(HEADER + rows(ROWS * number, ROWS * number + ROWS))
        # One of ten has just been written, the others are of jobs that ended long ago.
        if number % 10:
            os.utime(path, (0, 0))
    edge = Edge(replace(settings, sources=(str(folder / "*.csv"),)), redis_client)
    with edge.streamer() as streamer:

        def is_stored() -> bool:
            streamer.tick(0)
            edge.acknowledge(*edge.fetch())
            return sum(state.all_committed for state in edge.states()) == FILES

        eventually(is_stored, 600, every_s=0.1)
        costs_s = []
        for _ in range(TICKS):
            begun_s = time.process_time()
            streamer.tick(0)
            costs_s.append(time.process_time() - begun_s)
    median_s = statistics.median(costs_s)
    click.echo(f"an idle tick over {FILES} files: {1000 * median_s:.0f} ms of a core, {1000 * max(costs_s):.0f} ms at most")
    assert median_s < TICK_S
