"""`python -m benchmarks.store.archive`: samples are loaded, sealed, archived, half of them dropped, and read back.

Counts and checksums at the end are those of what was loaded. Meanwhile another thread stores readings of now, and it is
measured how long it ever stood still. By default it is small; 100 million samples are `--gpus 62 --days 10`.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Self

import click
import numpy as np
import psutil
import psycopg
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from benchmarks.store import fleet
from benchmarks.store.__main__ import fresh
from telemetry.archive import checking, writing
from telemetry.archive.places import Place
from telemetry.archive.returning import EDGE, Archive
from telemetry.archive.runs import Run
from telemetry.local.servers import Postgres
from telemetry.readings.arrays import Float64s, Int64s
from telemetry.readings.rows import Readings
from telemetry.readings.series import SeriesKey
from telemetry.settings import Settings
from telemetry.store import migrate
from telemetry.store.engine import make_engine
from telemetry.store.upkeep import chores, retention, sealing
from telemetry.store.upkeep.chores import RETENTION, SEALING, USAGE
from telemetry.store.upkeep.units import EPOCH
from telemetry.store.write.conflicts import Origin
from telemetry.store.write.returning import Returner
from telemetry.store.write.stretches import Content

NO_SOURCE = Origin(0, "")
PARTS = 24
# Odd numbers that mix bits; sums of products do not depend on the order of samples.
MIX = tuple(np.uint64(number) for number in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9))


class Sum:
    """A number of samples and a checksum of them, in whatever order they come."""

    def __init__(self) -> None:
        self.samples, self.checksum = 0, 0

    def add(self, metric: str, gpu: str, ts_us: Int64s, values: Float64s) -> None:
        """Some samples of a series."""
        series = np.full(1, int.from_bytes(f"{metric} {gpu}".encode()) % (1 << 63), np.uint64)
        mixed = (ts_us.astype(np.uint64) * MIX[0]) ^ (values.view(np.uint64) * MIX[1]) ^ (series * MIX[2])
        mixed = (mixed ^ (mixed >> np.uint64(29))) * MIX[1]
        self.samples += len(ts_us)
        self.checksum = (self.checksum + int(mixed.sum(dtype=np.uint64))) % (1 << 64)

    @property
    def shown(self) -> str:
        """For people."""
        return f"{self.samples:,} samples, checksum {self.checksum:016x}"


class Live:
    """Stores readings of now, one after the other, and notes the longest time between two commits."""

    def __init__(self, settings: Settings) -> None:
        self._engine = make_engine(settings, application="live")
        self._returner = Returner(settings, self._engine)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.longest_s, self.commits = 0.0, 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._engine.dispose()

    def _run(self) -> None:
        last_s = time.monotonic()
        while not self._done.wait(0.02):
            at = np.array([time.time_ns() // 1000])
            content = Readings([_text("LIVE", 0)], np.zeros(1, np.int64), at, np.ones(1), 0, [], 1)
            try:
                self._returner.store([Content(EDGE, "live", content)], NO_SOURCE)
            except DBAPIError:
                continue
            now_s = time.monotonic()
            self.longest_s, last_s = max(self.longest_s, now_s - last_s), now_s
            self.commits += 1


@click.command()
@click.option("--gpus", type=click.IntRange(1), default=4, show_default=True, help="GPUs, of 28 metrics by 15 s.")
@click.option("--days", type=click.IntRange(2), default=4, show_default=True, help="Days, half of which are dropped.")
@click.option("--to", "url", help="Archive into this place, and leave it there.  [default: a directory that goes]")
def main(gpus: int, days: int, url: str | None) -> None:
    """Load, seal, archive, drop a half, read it back, and compare."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="telemetry-bench-")))
        directory.chmod(0o755)
        server_url = stack.enter_context(Postgres(directory / "postgres")).url
        with psycopg.connect(server_url, autocommit=True) as server:
            settings = Settings.load({"TELEMETRY_DATABASE_URL": fresh(server, server_url)})
        engine, place = make_engine(settings, application="bench"), Place.of(url or str(directory / "archive"))
        stack.callback(engine.dispose)
        migrate.upgrade(engine)
        dates, kept_days = chosen(days)
        load = sum(psutil.getloadavg()) / 3
        click.echo(f"{psutil.cpu_count()} CPUs, load {load:.1f}; {gpus} GPUs, {days} days, {dates[0]} to {dates[-1]}")
        with Live(settings) as live:
            with timed("loaded") as tell:
                loaded = _load(settings, engine, gpus, dates)
                tell(loaded.samples)
            while chores.run(engine, settings, USAGE, 10_000):
                pass
            with timed("sealed") as tell:
                _seal(engine, settings)
                tell(loaded.samples)
            with timed("archived and verified") as tell:
                written = [writing.write(engine, place, day.day) for day in writing.pending(engine, place, date.max)]
                tell(sum(one.samples for one in written))
            size_bytes = sum(one.size_bytes for one in written)
            click.echo(f"{size_bytes / loaded.samples:.2f} bytes a sample in the archive")
            with timed("dropped") as tell:
                tell(_drop(engine, settings, kept_days))
            with engine.begin() as connection:
                retention.lower(connection, (dates[0] - EPOCH).days)
            with timed("read back") as tell:
                back = Archive(settings, engine, place)
                classes = [back.give_back(day).classes for day in back.days(None, dates[days // 2 - 1])]
                tell(sum(one.stored for one in classes))
            _seal(engine, settings)
            with timed("verified") as tell:
                states = {checked.state for checked in checking.check(engine, place)}
                tell(loaded.samples)
            there = _there(engine, dates)
        click.echo(f"loaded {loaded.shown}\nthere  {there.shown}\narchive {', '.join(sorted(states))}")
        click.echo(f"ingest beside it: {live.commits:,} commits, at most {live.longest_s:.2f} s between two")
        peak = psutil.Process().memory_info().rss / 2**20
        click.echo(f"memory of this process at the end: {peak:.0f} MiB")
        if loaded.shown != there.shown or states != {"equal"}:
            raise click.ClickException("what is there is not what was loaded")


def chosen(days: int) -> tuple[list[date], int]:
    """Days of two months that are over, and how many days retention keeps if it drops the first of them."""
    this_month = datetime.now(UTC).date().replace(day=1)
    last = (this_month - timedelta(days=1)).replace(day=1)
    before = (last - timedelta(days=1)).replace(day=1)
    half = days // 2
    dates = [before + timedelta(days=n) for n in range(half)] + [last + timedelta(days=n) for n in range(days - half)]
    return dates, (datetime.now(UTC).date() - last).days


@contextmanager
def timed(what: str) -> Iterator[Callable[[int], None]]:
    """Say how long something took, of how many samples."""
    begun_s, samples = time.perf_counter(), [0]
    yield samples.append
    spent_s = time.perf_counter() - begun_s
    click.echo(f"{what:22} {samples[-1]:13,} samples in {spent_s:8.1f} s, {samples[-1] / spent_s:12,.0f} a second")


def _load(settings: Settings, engine: Engine, gpus: int, dates: list[date]) -> Sum:
    total, returner = Sum(), Returner(settings, engine)
    size = fleet.DAY_SAMPLES // PARTS
    for day in dates:
        number = (day - EPOCH).days
        for gpu in range(gpus):
            at, made = fleet.times_us(gpu // 8, number), fleet.values(gpu + 1000 * number)
            for metric, values in made.items():
                total.add(metric, f"GPU-{gpu}", at, values)
            texts, columns = [_text(metric, gpu) for metric in made], np.stack(list(made.values()))
            for start in range(0, fleet.DAY_SAMPLES, size):
                part = columns[:, start : start + size]
                codes, ts_us = np.repeat(np.arange(len(texts)), part.shape[1]), np.tile(at[start : start + size], len(texts))
                content = Readings(texts, codes, ts_us, part.ravel(), 0, [], part.size)
                returner.store([Content("bench/node", "bench", content)], NO_SOURCE)
        returner.finish()
    return total


def _seal(engine: Engine, settings: Settings) -> None:
    def work(connection: object, _: Settings, limit: int) -> int:
        return sealing.step_at_once(connection, sealing.today(connection), limit)  # type: ignore[arg-type]

    while _tried(lambda: chores.run(engine, settings, replace(SEALING, work=work), SEALING.max_rows)):
        pass


def _drop(engine: Engine, settings: Settings, kept_days: int) -> int:
    keeper = replace(settings, retention_days=kept_days, retention_archived=True)
    while _tried(lambda: chores.run(engine, settings, USAGE, 10_000)):
        pass
    while _tried(lambda: chores.run(engine, keeper, RETENTION, RETENTION.max_rows)):
        pass
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT dropped FROM retention WHERE level = 'samples'")) or 0)


def _tried(step: Callable[[], int]) -> int:
    """A step, again where it gave way to others."""
    while True:
        try:
            return step()
        except (DBAPIError, psycopg.errors.LockNotAvailable) as error:
            if not isinstance(getattr(error, "orig", error), psycopg.errors.LockNotAvailable):
                raise


def _there(engine: Engine, dates: list[date]) -> Sum:
    total = Sum()
    for day in dates:
        with writing.moment(engine) as connection:
            for run in writing.read(connection, day):
                _add(total, run)
    return total


def _add(total: Sum, run: Run) -> None:
    metric, gpu, _ = run.key
    if metric != "LIVE":
        total.add(metric, gpu, run.ts_us, run.values)


def _text(metric: str, gpu: int) -> str:
    return SeriesKey(metric, f"GPU-{gpu}", f"host-{gpu // 8}", gpu % 8, f"nvidia{gpu % 8}", "H200", {}).text()


if __name__ == "__main__":
    main()
