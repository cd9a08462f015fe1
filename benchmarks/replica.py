"""`python -m benchmarks.replica`: reads of the API from a replica, while nothing is stored, and under full load of the primary.

Primary, broker, collector and `telemetry ingest` share one core; the replica, the API and who asks it share another, as if
these were two machines. The load is files, each of other hours, ingested one after the other as fast as it goes. Both
servers have segments of WAL to write over, as servers have that have run for a while: to fill a new one with zeroes takes
a core for some 20 ms.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event, Thread

import click
import httpx
import numpy as np
import psutil
import psycopg

from benchmarks import data, machine
from benchmarks.bench import POSTGRES, BenchError, Site, migrate_database
from benchmarks.cases.api import DAY, FILL, PATH, serving
from benchmarks.processes import family
from telemetry.local.servers import Postgres, Valkey
from tests.standby import REPLICATED, ask, caught_up, standby

ROWS, FILES_A_ROUND = 1_000_000, 6
WARM_UPS = 20
# Readings in an answer.
LEAST, DIFFERENT, TIMED = 500, 500, b'"timestamp"'
# All series once and again, the latest of the day.
FLEET_ROWS = 10_000
DRAIN_S = 120
# Enough WAL for all rounds, and a server that keeps as much.
SEGMENTS, KEEPS = 120, {"min_wal_size": "2GB"}
# The bound that this is held to.
MOST = 2.0
ASKED = {"latest": ("/api/v1/latest", {"limit": 1_000, "max_age": "3650d"}), "a day of one GPU": (PATH, DAY)}
# How far the primary is, and how far the replica has come.
AT, REPLAYED = "SELECT pg_current_wal_lsn() - '0/0'", "SELECT pg_last_wal_replay_lsn() - '0/0'"
COMMITS = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"


@click.command()
@click.option("--requests", type=click.IntRange(10), default=300, show_default=True, help="Of each kind, idle and under load.")
@click.option("--rounds", type=click.IntRange(1, 3), default=3, show_default=True, help="Idle and under load in turn.")
def main(requests: int, rounds: int) -> None:
    """Ask for the latest readings and for a day of one GPU, and print p50 and p99 of each, idle and under load."""
    with tempfile.TemporaryDirectory(prefix="telemetry-bench-") as path:
        directory = Path(path)
        directory.chmod(0o755)
        options = POSTGRES | REPLICATED | KEEPS
        with Postgres(directory / "primary", options) as primary, Valkey(directory / "valkey") as valkey:
            migrate_database(primary.url)
            _write_segments(primary)
            with standby(primary, directory / "standby", options) as follower:
                site = _site(directory, primary, follower, valkey)
                http = serving(site)
                with closing(http.http):
                    with psycopg.connect(primary.url) as database, site.client() as client:
                        for words in machine.describe(directory, database, client).items():
                            click.echo(": ".join(words))
                    collector = site.start_collector()
                    site.ingest(data.write(directory / "fleet.csv", FLEET_ROWS, hour=23), "fleet", 5_000)
                    _apart({1: [follower.pid, http.pid], 0: [primary.pid, valkey.pid, collector.pid]})
                    _measured(site, primary, follower, http.http, requests, rounds)


def _write_segments(server: Postgres) -> None:
    """Have a server keep segments of WAL to write over; a standby that is made of it has them, too."""
    with psycopg.connect(server.url, autocommit=True) as database:
        for _ in range(SEGMENTS):
            database.execute("SELECT pg_logical_emit_message(false, 'bench', ''), pg_switch_wal()")
        database.execute("CHECKPOINT")


def _measured(site: Site, primary: Postgres, follower: Postgres, http: httpx.Client, requests: int, rounds: int) -> None:
    load, before = Load(site), ask(follower, COMMITS)
    ratios: dict[str, list[float]] = {name: [] for name in ASKED}
    for number in range(rounds):
        load.prepare(number)
        idle = {name: spent(http, name, requests) for name in ASKED}
        with load.on() as rows:
            busy = {name: spent(http, name, requests) for name in ASKED}
            replayed = int(str(ask(follower, REPLAYED)))
            behind = int(str(ask(primary, AT))) - replayed
        click.echo(f"the primary stored {rows():,.0f} rows/s; at the end the replica was {behind:,} bytes behind")
        for name in ASKED:
            (still50, still), (busy50, most) = (np.percentile(each[name], (50, 99)) * 1000 for each in (idle, busy))
            ratios[name].append(most / still)
            click.echo(f"{name}: p50 {still50:.1f} ms idle, {busy50:.1f} ms under load; p99 {still:.1f} and {most:.1f} ms")
        with site.client() as client:
            site.wait(lambda: not client.llen(site.settings.ingest_queue), "an empty queue", DRAIN_S)
        caught_up(primary, follower)
    asked = int(str(ask(follower, COMMITS))) - int(str(before))
    if asked < 2 * rounds * requests:
        raise BenchError(f"the replica answered {asked} transactions only: reads went to the primary")
    for name, each in ratios.items():
        click.echo(
            f"{name}: p99 under load ÷ idle {np.median(each):.2f} ({min(each):.2f} to {max(each):.2f}), at most {MOST:g}"
        )


def spent(http: httpx.Client, name: str, requests: int) -> list[float]:
    """Seconds that each of some requests took."""
    path, parameters = ASKED[name]
    seconds = []
    for number in range(WARM_UPS + requests):
        # Each its own question: the API shares the answer to the same one for a moment.
        asked = {**parameters, "limit": parameters["limit"] - number % DIFFERENT}
        begun = time.perf_counter()
        answer = http.get(path, params=asked).raise_for_status()
        if answer.content.count(TIMED) < LEAST:
            raise BenchError(f"{path} has {answer.content.count(TIMED)} readings")
        if number >= WARM_UPS:
            seconds.append(time.perf_counter() - begun)
    return seconds


class Load:
    """Files that are ingested one after the other."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._files: list[data.File] = []

    def prepare(self, number: int) -> None:
        """Write the files of a round, which are of hours of their own."""
        directory = self._site.directory
        hours = [number * FILES_A_ROUND + n for n in range(FILES_A_ROUND)]
        self._files = [data.write(directory / f"load-{n}.csv", ROWS, hour=hour, interval_s=1) for n, hour in enumerate(hours)]

    @contextmanager
    def on(self) -> Iterator[Callable[[], float]]:
        """Under load; what is given tells rows stored a second since then."""
        ends, before = Event(), self._stored()
        thread = Thread(target=self._run, args=(ends,))
        thread.start()
        try:
            self._site.wait(lambda: self._stored() > before, "rows under load")
            before, begun_s = self._stored(), time.monotonic()
            yield lambda: (self._stored() - before) / (time.monotonic() - begun_s)
            if ends.is_set():
                raise BenchError("the files were at an end before the requests; ask for fewer")
        finally:
            ends.set()
            thread.join()

    def _run(self, ends: Event) -> None:
        # Of this thread, and so of what it starts.
        os.sched_setaffinity(0, {0})
        for file in self._files:
            process = self._site.start_ingest(file, file.path.stem, 5_000, "--processes", "0")
            while process.poll() is None and not ends.wait(0.1):
                pass
            self._site.stop(process)
            if ends.is_set():
                return
        ends.set()

    def _stored(self) -> int:
        with self._site.database() as database:
            row = database.execute("SELECT coalesce(sum(stored), 0)::bigint FROM batches").fetchone()
        return int(row[0]) if row else 0


def _site(directory: Path, primary: Postgres, follower: Postgres, valkey: Valkey) -> Site:
    with psycopg.connect(primary.url, autocommit=True) as database:
        database.execute(
            "CREATE TABLE samples_bench PARTITION OF samples FOR VALUES FROM ('2025-07-18 00:00+00') TO ('2025-07-19 00:00+00')"
        )
        database.execute(FILL)
        database.execute("VACUUM ANALYZE")
    caught_up(primary, follower)
    return Site(
        directory,
        primary.url,
        {
            "TELEMETRY_DATABASE_URL": primary.url,
            "TELEMETRY_DATABASE_READ_URL": follower.url,
            "TELEMETRY_BROKER_URL": valkey.url,
            "TELEMETRY_API_ACCESS": "open",
            "TELEMETRY_API_RATE_LIMIT": "",
        },
    )


def _apart(cores: dict[int, list[int | None]]) -> None:
    """Keep processes, and what they start, on a core each; and this one, which asks, on the last."""
    for core, pids in cores.items():
        for each in (one for pid in pids if pid for one in family(pid)):
            each.cpu_affinity([core])
    psutil.Process().cpu_affinity([max(cores)])


if __name__ == "__main__":
    main()
