"""The servers of a run, and a site for each measurement: a fresh database, an empty broker, processes that end with it."""

from __future__ import annotations

import itertools
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
import redis
from psycopg import sql
from sqlalchemy import Engine, make_url

from benchmarks import data, processes
from benchmarks.sizes import Sizes
from telemetry import broker
from telemetry.local.servers import Postgres, Valkey
from telemetry.settings import Settings
from telemetry.store import migrate
from telemetry.store.engine import make_engine

# When a transaction was committed, by the server's clock: the only addition to what production has.
POSTGRES = {"track_commit_timestamp": "on"}
TEMPLATE = "template_bench"
WARM_UP_ROWS = 10_000
WAIT_S = 600.0
POLL_S = 0.05
FLOW = """
    SELECT count(*), coalesce(sum(rows), 0), coalesce(sum(stored), 0), coalesce(sum(rows - stored - blank), 0),
           extract(epoch FROM min(published_at)), extract(epoch FROM max(pg_xact_commit_timestamp(xmin)))
    FROM batches WHERE edge = %s
"""


class BenchError(RuntimeError):
    """A measurement that measured something else than it should have; the text says what."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What the ledger holds of an edge, from its first publish (broker's clock) to its last commit (Postgres')."""

    batches: int
    rows: int
    stored: int
    other: int
    published_s: float
    committed_s: float

    @property
    def rows_per_s(self) -> float:
        """Rows by the time they took."""
        return self.rows / (self.committed_s - self.published_s)


@dataclass
class Site:
    """One measurement's system. `variables` are the settings of its processes."""

    directory: Path
    database_url: str
    variables: dict[str, str]
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @cached_property
    def settings(self) -> Settings:
        """The settings its processes have."""
        return Settings.load(self.variables)

    def client(self) -> redis.Redis:
        """A client of the broker."""
        return broker.connect(self.settings)

    def database(self) -> psycopg.Connection[Any]:
        """A connection of one's own."""
        return psycopg.connect(self.database_url, autocommit=True)

    def engine(self) -> Engine:
        """An engine as the product makes it."""
        return make_engine(self.settings, application="bench")

    def start(self, *args: str, **variables: str) -> subprocess.Popen[bytes]:
        """Start a process that ends with the site."""
        process = processes.start(self.directory / f"{args[0]}.log", *args, **self.variables, **variables)
        self.running.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """End one of its processes."""
        self.running.remove(process)
        processes.kill(process)

    def start_worker(self, app: str, **variables: str) -> subprocess.Popen[bytes]:
        """A worker of any application, with the flags of the Procfile's collector."""
        flags = ("--concurrency", "2", "--without-gossip", "--without-mingle", "-n", "worker@bench")
        return self.start("celery", "--quiet", "-A", app, "worker", *flags, **variables)

    def start_collector(self) -> subprocess.Popen[bytes]:
        """The collector."""
        return self.start_worker("telemetry", TELEMETRY_ROLE="central")

    def start_edge(self, source: Path, node: str) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
        """Beat and streamer of an edge at the default settings, following one file."""
        variables = {"TELEMETRY_ROLE": "edge", "TELEMETRY_EDGE": f"bench/{node}", "TELEMETRY_SOURCES": str(source)}
        flags = ("--without-gossip", "--without-mingle", "-n", f"streamer-{node}@bench")
        return (
            self.start("celery", "--quiet", "-A", "telemetry", "beat", **variables),
            self.start("celery", "--quiet", "-A", "telemetry", "worker", *flags, **variables),
        )

    def ingest(self, file: data.File, node: str, batch_size: int, *options: str, **variables: str) -> str:
        """Stream a file once by `telemetry ingest`, to the end; returns the edge's name."""
        self.end(self.start_ingest(file, node, batch_size, *options, **variables))
        return f"ingest/{node}"

    def start_ingest(
        self, file: data.File, node: str, batch_size: int, *options: str, **variables: str
    ) -> subprocess.Popen[bytes]:
        """`telemetry ingest` of a file."""
        return self.start(
            *("telemetry", "ingest", str(file.path), "--batch-size", str(batch_size), "--timeout", str(WAIT_S), *options),
            TELEMETRY_EDGE=f"bench/{node}",
            **variables,
        )

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the end of a `telemetry ingest`."""
        if process.wait():
            raise BenchError(f"telemetry ingest failed: {self.log('telemetry')}")
        self.running.remove(process)

    def flow(self, edge: str) -> Flow:
        """What the ledger holds of an edge."""
        with self.database() as connection:
            row = connection.execute(FLOW, [edge]).fetchone()
        assert row is not None, "an aggregate has a row"  # noqa: S101
        return Flow(int(row[0]), int(row[1]), int(row[2]), int(row[3]), float(row[4] or 0), float(row[5] or 0))

    def committed(self, edge: str, rows: int) -> Flow:
        """The flow of an edge, of which so many rows must be stored, and none lost or turned away."""
        flow = self.flow(edge)
        if flow.rows != rows or flow.other:
            raise BenchError(f"{flow.rows} rows of {edge} are in the ledger, {flow.other} of them not stored; {rows} were sent")
        return flow

    def wait(self, condition: Callable[[], bool], what: str, timeout_s: float = WAIT_S, every_s: float = POLL_S) -> None:
        """Wait until something holds, while all processes live."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            for process in self.running:
                if process.poll() is not None:
                    raise BenchError(f"{process.args!r} ended while waiting for {what}: {self.log('celery')}")
            if time.monotonic() > deadline:
                raise BenchError(f"{what}: not within {timeout_s:g} s: {self.log('celery')}")
            time.sleep(every_s)

    def log(self, name: str) -> str:
        """The last words of the processes of a name."""
        path = self.directory / f"{name}.log"
        return " | ".join(path.read_text(errors="replace").splitlines()[-5:]) if path.exists() else "nothing said"


@dataclass
class Bench:
    """A run's servers, sizes and files, and the figures measured so far: case → one dictionary a round.

    `traces` are figures over time.
    """

    directory: Path
    sizes: Sizes
    postgres: Postgres
    valkey: Valkey
    figures: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    traces: dict[str, list[float]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _files: dict[str, data.File] = field(default_factory=dict)

    def file(self, name: str, rows: int, **options: Any) -> data.File:
        """A file of generated rows, written at the first use."""
        if name not in self._files:
            self._files[name] = data.write(self.directory / f"{name}.csv", rows, **options)
        return self._files[name]

    @cached_property
    def whole(self) -> data.File:
        """The file that the large cases read."""
        return self.file("whole", self.sizes.rows)

    @cached_property
    def small(self) -> data.File:
        """The file that the cases with 100-row messages read."""
        return self.file("small", self.sizes.small_rows)

    @cached_property
    def warm_up(self) -> data.File:
        """A little of the same series, earlier: with it connections are opened and series are made."""
        return self.file("warm-up", WARM_UP_ROWS, hour=5)

    def client(self) -> redis.Redis:
        """A client of the broker."""
        return broker.connect(Settings.load({"TELEMETRY_BROKER_URL": self.valkey.url}))

    @contextmanager
    def site(self, valkey: dict[str, str] | None = None, **variables: str) -> Iterator[Site]:
        """A fresh database and an empty broker. `valkey` are options of the server while it lasts."""
        name = f"bench_{next(self._numbers)}"
        directory = self.directory / name
        directory.mkdir()
        url = make_url(self.postgres.url).set(database=name).render_as_string(hide_password=False)
        made = Site(directory, url, {"TELEMETRY_DATABASE_URL": url, "TELEMETRY_BROKER_URL": self.valkey.url, **variables})
        with psycopg.connect(self.postgres.url, autocommit=True) as server, made.client() as client:
            client.flushall()
            before = {option: client.config_get(option)[option] for option in valkey or {}}
            for option, value in (valkey or {}).items():
                client.config_set(option, value)
            server.execute(_statement("CREATE DATABASE {} TEMPLATE {}", name, TEMPLATE))
            server.execute("CHECKPOINT")
            try:
                yield made
            finally:
                for process in list(made.running):
                    made.stop(process)
                server.execute(_statement("DROP DATABASE {} WITH (FORCE)", name))
                for option, value in before.items():
                    client.config_set(option, value)


def _statement(text: str, *names: str) -> sql.Composed:
    return sql.SQL(text).format(*map(sql.Identifier, names))


@contextmanager
def servers(directory: Path, sizes: Sizes) -> Iterator[Bench]:
    """Servers of this run's own, with the settings of production and a migrated template."""
    with Postgres(directory / "postgres", POSTGRES) as postgres, Valkey(directory / "valkey") as valkey:
        with psycopg.connect(postgres.url, autocommit=True) as server:
            server.execute(_statement("CREATE DATABASE {}", TEMPLATE))
        migrate_database(make_url(postgres.url).set(database=TEMPLATE).render_as_string(hide_password=False))
        yield Bench(directory, sizes, postgres, valkey)


def migrate_database(url: str) -> None:
    """Give a database the schema."""
    engine = make_engine(Settings.load({"TELEMETRY_DATABASE_URL": url}), application="bench")
    migrate.upgrade(engine)
    engine.dispose()
