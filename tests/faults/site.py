"""A whole system of a fault test's own: broker, database, collectors, an edge, and a file that grows; all can be broken.

Used by the tests of this folder and by the soak. A run is: start, let rows flow, break something, heal it, wait until
`telemetry verify` says exact.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis

from telemetry import broker
from telemetry.embedded import Postgres, Valkey
from telemetry.settings import Settings
from telemetry.store import migrate
from telemetry.store.engine import make_engine
from tests.waiting import eventually

BIN = Path(sys.executable).parent
SPEEDY = {
    "TELEMETRY_STREAM_INTERVAL_S": "0.2",
    "TELEMETRY_REPUBLISH_AFTER_S": "1",
    "TELEMETRY_LEASE_S": "3",
    "TELEMETRY_VISIBILITY_TIMEOUT_S": "8",
    "TELEMETRY_WINDOW_BYTES": str(1 << 20),
    "TELEMETRY_EDGE": "fault/edge",
}
UNSAFE_POSTGRES = {"fsync": "off", "full_page_writes": "off"}
HEADER = "timestamp,metric_name,gpu_id,uuid,Hostname,value\n"
EXACT_S = 60.0


class Feeder(threading.Thread):
    """Writes rows to a file at a steady pace, in pieces that tear lines, until stopped; then the rest of its last line."""

    def __init__(self, path: Path, rows_per_s: int, gpu: str) -> None:
        super().__init__(daemon=True)
        self.path = path
        self.rows = 0
        self._rows_per_s = rows_per_s
        self._gpu = gpu
        self._stopping = threading.Event()
        self.path.write_text(HEADER)

    def run(self) -> None:
        """Write until stopped."""
        pause_s, left = 0.05, ""
        while not self._stopping.wait(pause_s):
            piece = left + "".join(self._row() for _ in range(int(self._rows_per_s * pause_s)))
            cut = len(piece) - len(piece) % 97
            self._write(piece[:cut])
            left = piece[cut:]
        self._write(left)

    def finish(self) -> None:
        """Stop with a whole line."""
        self._stopping.set()
        self.join()

    def _row(self) -> str:
        n = self.rows
        self.rows += 1
        value = "x" if n % 997 == 5 else "" if n % 97 == 3 else str(n % 1000)
        stamp = f"2025-07-{18 + n // 86_400:02}T{n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}Z"
        return f"{stamp},DCGM_FI_DEV_GPU_UTIL,0,{self._gpu},host-1,{value}\n"

    def _write(self, text: str) -> None:
        # Opened anew each time, as writers do that find their file rotated away.
        with self.path.open("a") as file:
            file.write(text)


@dataclass
class Site:
    """The running system. Its parts are public: a fault does to them what it likes."""

    directory: Path
    postgres: Postgres
    valkey: Valkey
    variables: dict[str, str]
    collectors: list[subprocess.Popen[bytes]] = field(default_factory=list)
    edge: list[subprocess.Popen[bytes]] = field(default_factory=list)
    feeders: list[Feeder] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        """The settings its processes have."""
        return Settings.load(self.variables)

    def start_process(self, name: str, *args: str, **variables: str) -> subprocess.Popen[bytes]:
        """A process of the system, its output in a log."""
        number = len(list(self.directory.glob("*.log")))
        with (self.directory / f"{number:02}-{name}.log").open("wb") as log:
            return subprocess.Popen(
                [str(BIN / args[0]), *args[1:]],
                env={**os.environ, **self.variables, **variables},
                cwd=self.directory,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start_collector(self) -> subprocess.Popen[bytes]:
        """One more collector."""
        name = f"collector-{len(self.collectors)}-{os.urandom(2).hex()}@fault"
        process = self.start_process(
            "collector",
            *("celery", "-A", "telemetry", "worker", "--concurrency", "2", "--without-gossip", "--without-mingle"),
            *("-n", name, "-l", "info"),
            TELEMETRY_ROLE="central",
        )
        self.collectors.append(process)
        return process

    def start_beat(self) -> subprocess.Popen[bytes]:
        """The edge's beat, first of its processes."""
        process = self.start_process("beat", "celery", "-A", "telemetry", "beat", **self._edge())
        self.edge.insert(0, process)
        return process

    def start_streamer(self) -> subprocess.Popen[bytes]:
        """One more streamer of the edge."""
        process = self.start_process(
            "streamer",
            *("celery", "-A", "telemetry", "worker", "--without-gossip", "--without-mingle", "-l", "info"),
            *("-n", f"streamer-{os.urandom(2).hex()}@fault"),
            **self._edge(),
        )
        self.edge.append(process)
        return process

    def _edge(self) -> dict[str, str]:
        return {"TELEMETRY_ROLE": "edge", "TELEMETRY_SOURCES": str(self.directory / "sources" / "*.csv")}

    def feed(self, rows_per_s: int = 3000, name: str = "a") -> Feeder:
        """A file that begins to grow."""
        feeder = Feeder(self.directory / "sources" / f"{name}.csv", rows_per_s, f"GPU-{name}")
        feeder.start()
        self.feeders.append(feeder)
        return feeder

    def client(self) -> redis.Redis:
        """A client of the broker as it is now."""
        return broker.connect(self.settings)

    def committed_rows(self) -> int:
        """Rows in the ledger; 0 while the database is away."""
        try:
            with psycopg.connect(self.postgres.url, connect_timeout=2, autocommit=True) as connection:
                row = connection.execute("SELECT coalesce(sum(rows), 0) FROM batches").fetchone()
                return int(row[0]) if row else 0
        except psycopg.OperationalError:
            return 0

    def wait_for_flow(self, rows: int = 2000) -> float:
        """Wait until so many more rows are committed; the seconds until the first of them."""
        before, begun = self.committed_rows(), time.monotonic()
        eventually(lambda: self.committed_rows() > before, EXACT_S, every_s=0.1, what="committing again")
        first = time.monotonic() - begun
        eventually(lambda: self.committed_rows() >= before + rows, EXACT_S, every_s=0.1, what=f"{rows} rows committed")
        return first

    def verify(self) -> dict[str, int]:
        """What `telemetry verify` counts in all files, those rotated away included."""
        paths = sorted(str(path) for path in (self.directory / "sources").iterdir())
        done = subprocess.run(
            [str(BIN / "telemetry"), "verify", "--json", *paths],
            env={**os.environ, **self.variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode in {0, 1}, done.stderr
        counts: dict[str, int] = json.loads(done.stdout)
        return counts

    def settle(self) -> dict[str, int]:
        """Stop writing and wait until nothing is missing; what `verify` counts then."""
        for feeder in self.feeders:
            feeder.finish()
        rows = sum(feeder.rows for feeder in self.feeders)
        eventually(lambda: self.committed_rows() >= rows, EXACT_S, every_s=0.2, what=f"{rows} rows committed")
        eventually(lambda: self.verify()["missing"] == 0, EXACT_S, every_s=0.5, what="nothing missing")
        return self.verify()

    def log(self) -> str:
        """All that its processes said."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.directory.glob("*.log")))

    def stop(self) -> None:
        """End everything, whatever state it is in."""
        for feeder in self.feeders:
            feeder.finish()
        for process in [*self.edge, *self.collectors]:
            kill_tree(process.pid)
            process.wait()


def kill_tree(pid: int) -> None:
    """Kill a process and all its descendants."""
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for each in family:
        with suppress(psutil.NoSuchProcess):
            each.kill()


def children(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The pool of a worker."""
    return psutil.Process(process.pid).children(recursive=True)


def freeze(process: subprocess.Popen[bytes]) -> None:
    """Stop a process and its children without their knowing."""
    for each in [psutil.Process(process.pid), *children(process)]:
        each.send_signal(signal.SIGSTOP)


def thaw(process: subprocess.Popen[bytes]) -> None:
    """Let it go on."""
    for each in [psutil.Process(process.pid), *children(process)]:
        each.send_signal(signal.SIGCONT)


@contextmanager
def site(
    *, collectors: int = 2, streamers: int = 1, valkey: Mapping[str, str] | None = None, **variables: Any
) -> Iterator[Site]:
    """A system of its own, up and running, ended at the end."""
    directory = Path(tempfile.mkdtemp(prefix="telemetry-fault-"))
    directory.chmod(0o755)
    (directory / "sources").mkdir()
    try:
        with (
            Postgres(directory / "postgres", UNSAFE_POSTGRES) as postgres,
            Valkey(directory / "valkey", {"save": "", **(valkey or {})}) as server,
        ):
            made = Site(directory, postgres, server, {})
            made.variables = {
                "TELEMETRY_DATABASE_URL": postgres.url,
                "TELEMETRY_BROKER_URL": server.url,
                **SPEEDY,
                **{f"TELEMETRY_{name.upper()}": str(value) for name, value in variables.items()},
            }
            engine = make_engine(made.settings, application="migrate")
            migrate.upgrade(engine)
            engine.dispose()
            try:
                for _ in range(collectors):
                    made.start_collector()
                made.start_beat()
                for _ in range(streamers):
                    made.start_streamer()
                yield made
            finally:
                made.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
