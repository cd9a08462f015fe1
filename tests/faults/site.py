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
import tempfile
import time
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis

from telemetry import broker
from telemetry.local.servers import Postgres, Valkey
from telemetry.settings import Settings
from telemetry.store import migrate
from telemetry.store.engine import make_engine
from tests import launching
from tests.faults import secured
from tests.faults.feeder import BEGIN, Feeder
from tests.faults.secured import Secured
from tests.faults.ways import Network
from tests.sentinels import Watched, watched
from tests.standby import REPLICATED, standby, url_of
from tests.waiting import eventually

SPEEDY = {
    "TELEMETRY_STREAM_INTERVAL_S": "0.2",
    "TELEMETRY_REPUBLISH_AFTER_S": "1",
    "TELEMETRY_LEASE_S": "3",
    "TELEMETRY_CLOSE_AFTER_S": "3",
    "TELEMETRY_VISIBILITY_TIMEOUT_S": "8",
    "TELEMETRY_WINDOW_BYTES": str(4 << 20),
    "TELEMETRY_LOCK_TIMEOUT_S": "2",
    "TELEMETRY_STALL_S": "6",
    "TELEMETRY_EDGE": "fault/edge",
}
# A standby cannot be made of what was written with the WAL level that our server has.
UNSAFE_POSTGRES = {"fsync": "off", "full_page_writes": "off", "wal_level": "replica"}
EXACT_S = 60.0
# Of a file that grows.
ROWS_PER_S = 1000
# What a machine with other work does in any case, with copies of each message before the message.
SLOWEST_ROWS_PER_S = 1000
SAMPLES = "SELECT count(*) FROM stored_samples('-infinity', 'infinity')"
QUARANTINED = "SELECT count(*) FROM quarantine"


class StallError(Exception):
    """Rows wait, and none is committed."""


@dataclass
class Site:
    """The running system. Its parts are public: a fault does to them what it likes, and what it starts it puts on `stack`.

    `app` is the Celery application its workers load; the variables of the edge and of the centre go over the common ones.
    """

    directory: Path
    postgres: Postgres
    valkey: Valkey
    variables: dict[str, str]
    app: str = "telemetry"
    processes: int = 2
    network: Network | None = None
    watched: Watched | None = None
    standby: Postgres | None = None
    secured: Secured | None = None
    edge_variables: dict[str, str] = field(default_factory=dict)
    centre_variables: dict[str, str] = field(default_factory=dict)
    collectors: list[subprocess.Popen[bytes]] = field(default_factory=list)
    edge: list[subprocess.Popen[bytes]] = field(default_factory=list)
    feeders: list[Feeder] = field(default_factory=list)
    tended: int = 0
    # Rows that were committed when that changed last, and when that was.
    _progress: tuple[int, float] = (-1, 0.0)
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def settings(self) -> Settings:
        """The settings its processes have."""
        return Settings.load(self.variables)

    def start_process(self, name: str, *args: str, **variables: str) -> subprocess.Popen[bytes]:
        """A process of the system, its output in a log."""
        number = len(list(self.directory.glob("*.log")))
        with (self.directory / f"{number:02}-{name}.log").open("wb") as log:
            user = self.secured.of_process(name) if self.secured else {}
            return launching.start(args, {**os.environ, **self.variables, **user, **variables}, self.directory, log)

    def start_collector(self) -> subprocess.Popen[bytes]:
        """One more collector."""
        name = f"collector-{len(self.collectors)}-{os.urandom(2).hex()}@fault"
        process = self.start_process(
            "collector",
            *("celery", "-A", self.app, "worker", "--concurrency", str(self.processes), "--without-gossip", "--without-mingle"),
            *("-n", name, "-l", "info"),
            TELEMETRY_ROLE="central",
            **self.centre_variables,
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
            *("celery", "-A", self.app, "worker", "--without-gossip", "--without-mingle", "-l", "info"),
            *("-n", f"streamer-{os.urandom(2).hex()}@fault"),
            **self._edge(),
        )
        self.edge.append(process)
        return process

    def _edge(self) -> dict[str, str]:
        sources = str(self.directory / "sources" / "*.csv")
        state_dir = str(self.directory / "state")
        return {
            "TELEMETRY_ROLE": "edge",
            "TELEMETRY_SOURCES": sources,
            "TELEMETRY_STATE_DIR": state_dir,
            **self.edge_variables,
        }

    def tend(self) -> None:
        """Start again what has ended by itself, as a supervisor does; `tended` counts."""
        beat = self.edge[:1]
        for process in [*self.collectors, *self.edge]:
            if process.poll() is None:
                continue
            self.tended += 1
            if process in self.collectors:
                self.collectors.remove(process)
                self.start_collector()
                continue
            self.edge.remove(process)
            if process in beat:
                self.start_beat()
            else:
                self.start_streamer()

    def feed(self, rows_per_s: int = 3000, name: str = "a", padding: int = 0, begin: datetime = BEGIN) -> Feeder:
        """A file that begins to grow."""
        path, gpu = self.directory / "sources" / f"{name}.csv", f"GPU-{len(self.feeders)}-{name}"
        feeder = Feeder(path, rows_per_s, gpu, padding, begin)
        feeder.start()
        self.feeders.append(feeder)
        return feeder

    def client(self) -> redis.Redis:
        """A client of the broker as it is now."""
        url = self.watched.url if self.watched else self.valkey.url
        return broker.connect(replace(self.settings, broker_url=secured.for_breaker(url) if self.secured else url))

    def committed_rows(self) -> int:
        """Rows in the ledger; 0 while the database is away."""
        try:
            return self.count("SELECT coalesce(sum(rows), 0) FROM ledger")
        except psycopg.OperationalError:
            return 0

    def committed_bytes(self, feeder: Feeder) -> int:
        """How far the edge believes a file to be stored, not another one that had its name before; 0 with no broker."""
        status = feeder.path.stat()
        with suppress(redis.ConnectionError, redis.TimeoutError), self.client() as client:
            for key in client.scan_iter("telemetry:source:*"):
                # An old broker that is put back may remember what `ingest` read of the same file.
                if key.startswith(b"telemetry:source:ingest/"):
                    continue
                state = json.loads(client.hget(key, "state") or "{}")
                if state and state["path"] == str(feeder.path) and state["inode"] == [status.st_dev, status.st_ino]:
                    return int(state["window"]["committed"])
        return 0

    def count(self, query: str) -> int:
        """What a query counts in the database."""
        with psycopg.connect(self.postgres.url, connect_timeout=2, autocommit=True) as connection:
            row = connection.execute(query.encode()).fetchone()
        return int(row[0]) if row else 0

    def wait_for_flow(self, rows: int = 2000) -> float:
        """Wait until so many more rows are committed; the seconds until the first of them."""
        before, begun = self.committed_rows(), time.monotonic()
        self.wait_until(lambda: self.committed_rows() > before, what="committing again")
        first = time.monotonic() - begun
        self.wait_until(lambda: self.committed_rows() >= before + rows, what=f"{rows} rows committed")
        return first

    def command(self, *args: str, codes: Container[int] = (0, 1)) -> str:
        """What a command of the product prints. Fails on other exit codes than those."""
        user = self.secured.of_commands() if self.secured else {}
        done = launching.run(("telemetry", *args), {**os.environ, **self.variables, **user}, 120)
        assert done.returncode in codes, done.stderr
        return done.stdout

    def retire(self, feeder: Feeder) -> None:
        """End a feeder, wait until the edge knows all of its file to be stored, and keep a copy to compare with."""
        feeder.finish()
        size = feeder.path.stat().st_size
        self.wait_until(lambda: self.committed_bytes(feeder) == size, what=f"all of {feeder.path.name} committed")
        shutil.copy(feeder.path, self.place_to_keep(feeder))

    def place_to_keep(self, feeder: Feeder) -> Path:
        """Where a file goes that is to be compared with, and that the edge is no longer to find: one place a feeder."""
        return self.directory / "kept" / f"{self.feeders.index(feeder)}-{feeder.path.name}"

    def wait_until(self, condition: Callable[[], bool], what: str, every_s: float = 0.1, within_s: float = EXACT_S) -> None:
        """Wait for something while whatever ends by itself is started again."""

        def holds() -> bool:
            self.tend()
            return condition()

        eventually(holds, within_s, every_s=every_s, what=what)

    def verify(self, *of: Path) -> dict[str, int]:
        """What `telemetry verify` counts in some files, or in all, those rotated away included."""
        files = of or (*(self.directory / "sources").iterdir(), *(self.directory / "kept").iterdir())
        paths = sorted(map(str, files))
        document = json.loads(self.command("verify", "--json", *paths))
        return {name: count for name, count in document.items() if isinstance(count, int)}

    def settle(self) -> dict[str, int]:
        """Stop writing and wait until nothing is missing; what `verify` counts then."""
        for feeder in self.feeders:
            feeder.finish()
        rows = sum(feeder.rows for feeder in self.feeders)
        within_s = EXACT_S + rows / SLOWEST_ROWS_PER_S
        self._progress = -1, time.monotonic()
        self.wait_until(lambda: self._flows_to(rows), f"{rows} rows committed", every_s=0.2, within_s=within_s)
        counts: dict[str, int] = {}

        def nothing_missing() -> bool:
            counts.update(self.verify())
            return counts["missing"] == 0

        self.wait_until(nothing_missing, every_s=0.5, what="nothing missing")
        return counts

    def _flows_to(self, rows: int) -> bool:
        """Whether so many rows are committed. Raises StallError where none has been for long, however many are to come."""
        committed, now_s = self.committed_rows(), time.monotonic()
        # 0 while the database is away.
        if committed not in {0, self._progress[0]}:
            self._progress = committed, now_s
        if committed < rows and now_s - self._progress[1] > EXACT_S:
            raise StallError(f"nothing was committed for {EXACT_S:.0f} s, and {rows - committed} rows are not")
        return committed >= rows

    def doubled(self, counts: Mapping[str, int]) -> int:
        """How many rows are in the database more than once, or at all without a file saying so.

        The keys of the tables forbid it; so this counts rows beyond the distinct ones that `verify` found.
        """
        return self.count(SAMPLES) - counts["stored"] + self.count(QUARANTINED) - counts["quarantined"]

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
    """Stop a process and its children without their knowing; it first, so that it makes no more of them meanwhile."""
    process.send_signal(signal.SIGSTOP)
    for each in children(process):
        with suppress(psutil.NoSuchProcess):
            each.send_signal(signal.SIGSTOP)


def thaw(process: subprocess.Popen[bytes]) -> None:
    """Let it go on. A child may end as soon as its parent goes on."""
    for each in [psutil.Process(process.pid), *children(process)]:
        with suppress(psutil.NoSuchProcess):
            each.send_signal(signal.SIGCONT)


@contextmanager
def site(
    *,
    collectors: int = 2,
    processes: int = 2,
    streamers: int = 1,
    valkey: Mapping[str, str] | None = None,
    app: str = "telemetry",
    edge: Mapping[str, str] | None = None,
    proxied: bool = False,
    sentinels: bool = False,
    with_standby: bool = False,
    secure: bool | None = None,
    keep: bool = False,
    kind: type[Site] = Site,
    **variables: Any,
) -> Iterator[Site]:
    """A system of its own, up and running, ended at the end.

    `processes` are those of a collector's pool, `edge` variables of the edge's processes alone; `proxied` puts a network
    between the parts that can be broken; with `sentinels` the broker is a primary and a replica that sentinels watch;
    `with_standby` gives the database a standby; `secure` gives each process its user, TLS and signatures (None: as the run
    asks); `kind` is that of the site; with `keep` the directory stays when the block fails.
    """
    directory = Path(tempfile.mkdtemp(prefix="telemetry-fault-"))
    directory.chmod(0o755)
    (directory / "sources").mkdir()
    (directory / "kept").mkdir()
    try:
        options = UNSAFE_POSTGRES | (REPLICATED if with_standby else {})
        with Postgres(directory / "postgres", options) as postgres, ExitStack() as stack:
            second = stack.enter_context(standby(postgres, directory / "standby", options)) if with_standby else None
            group = stack.enter_context(watched(directory / "watched", valkey)) if sentinels else None
            trust = Secured.of(directory) if (secured.is_asked_for() if secure is None else secure) and not group else None
            own = {**(trust.options if trust else {}), **(valkey or {})}
            server = group.members[0] if group else Valkey(directory / "valkey", {"save": "", **own})
            stack.enter_context(server)
            front = stack.enter_context(trust.front(directory / "tls", server)) if trust else None
            common = {
                "TELEMETRY_DATABASE_URL": url_of(postgres, second) if second else postgres.url,
                "TELEMETRY_BROKER_URL": group.url if group else (front or server).url,
                **SPEEDY,
                **{f"TELEMETRY_{name.upper()}": str(value) for name, value in variables.items()},
            }
            made = kind(
                directory, postgres, server, common, app, processes, watched=group, standby=second, secured=trust, stack=stack
            )
            network = made.network = Network.of(postgres, lambda: made.valkey, front, stack) if proxied else None
            made.edge_variables = {**(network.of_edge() if network else {}), **(edge or {})}
            made.centre_variables = network.of_centre() if network else {}
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
    except BaseException:
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)
        raise
    shutil.rmtree(directory, ignore_errors=True)
