"""A site with several brokers, each with a collector, and two edges: one moves as brokers come and go, the other stays at `b`.

The parts of a site that faults know (`edge`, `valkey`, `client`) are those of the edge that moves, which streams a*.csv.
"""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg

from telemetry import broker
from telemetry.local.servers import Valkey
from telemetry.progress.keys import Keys
from telemetry.settings.brokers import chosen
from tests.faults.site import EXACT_S, Site, kill_tree
from tests.waiting import eventually

FIRST, SECOND, THIRD = "abc"
KEYS = Keys("telemetry")


def edge_at(one_of_two: str, one_of_three: str) -> str:
    """The name of an edge that takes one broker of `a` and `b`, and then one of three."""
    names = (f"rack/{number}" for number in range(1000))
    return next(name for name in names if (chosen("ab", name), chosen("abc", name)) == (one_of_two, one_of_three))


@dataclass
class Fleet(Site):
    """The running system. `brokers` has those in the list that its processes get, `drained` those that edges leave."""

    brokers: dict[str, Valkey] = field(default_factory=dict)
    drained: frozenset[str] = frozenset()
    others: list[subprocess.Popen[bytes]] = field(default_factory=list)
    moving: str = field(default_factory=lambda: edge_at("a", "c"))
    staying: str = field(default_factory=lambda: edge_at("b", "b"))
    # The broker of each collector, by its process.
    _serves: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.brokers[FIRST] = self.valkey
        self.open(SECOND)
        self.tell()

    def open(self, name: str) -> None:
        """Start one more server."""
        self.brokers[name] = self.stack.enter_context(Valkey(self.directory / f"broker-{name}", {"save": ""}))

    def tell(self) -> None:
        """What processes are told that start from now on."""
        self.variables.pop("TELEMETRY_BROKER_URL", None)
        self.variables["TELEMETRY_BROKER_URLS"] = " ".join(f"{name}={server.url}" for name, server in self.brokers.items())
        self.variables["TELEMETRY_BROKER_DRAINED"] = ",".join(sorted(self.drained))
        self.valkey = self.brokers[self.home(self.moving)]

    def home(self, edge: str) -> str:
        """The broker that an edge takes."""
        return chosen([name for name in self.brokers if name not in self.drained], edge)

    def start_collector(self) -> subprocess.Popen[bytes]:
        """One more collector, of the broker that has the fewest, and of several that whose youngest is the oldest."""

        def standing(name: str) -> tuple[int, int]:
            ages = [at for at, process in enumerate(self.collectors) if self._serves[process.pid] == name]
            return len(ages), max(ages, default=-1)

        name = min(self.brokers, key=standing)
        self.centre_variables["TELEMETRY_BROKER_NAME"] = name
        process = super().start_collector()
        self._serves[process.pid] = name
        return process

    def start_beat(self) -> subprocess.Popen[bytes]:
        """The beat of the edge that moves; with the first one the other edge comes."""
        if not self.others:
            self._start_others()
        return super().start_beat()

    def restart_edges(self, *, gently: bool) -> None:
        """End all processes of both edges, in order or by SIGKILL, and start them with what they are told now."""
        processes = [*self.edge, *self.others]
        for each in processes:
            if gently:
                each.terminate()
            else:
                kill_tree(each.pid)
        for each in processes:
            each.wait(EXACT_S)
        self.edge.clear()
        self.others.clear()
        self.start_beat()
        self.start_streamer()

    def close(self, name: str) -> None:
        """Take a broker away whose queue is worked off: its collectors, then the server, out of the list."""
        for process in [each for each in self.collectors if self._serves[each.pid] == name]:
            self.collectors.remove(process)
            kill_tree(process.pid)
            process.wait()
        self.brokers.pop(name).stop()
        self.drained -= {name}
        self.tell()

    def wait_for_flow(self, rows: int = 2000) -> float:
        """Wait until more is committed of each edge, and so many more rows; the seconds until that is so of the last edge."""
        before, begun = {edge: self._rows(edge) for edge in (self.moving, self.staying)}, time.monotonic()
        self.wait_until(lambda: all(self._rows(edge) > before[edge] for edge in before), what="committing again of each edge")
        first = time.monotonic() - begun
        super().wait_for_flow(rows)
        return first

    def _rows(self, edge: str) -> int:
        """Rows of an edge in the ledger; 0 while the database is away."""
        with suppress(psycopg.OperationalError), psycopg.connect(self.postgres.url, connect_timeout=2) as connection:
            row = connection.execute(
                "SELECT coalesce(sum(rows), 0) FROM ledger JOIN sources ON sources.id = source_id WHERE edge = %s", [edge]
            ).fetchone()
            return int(row[0]) if row else 0
        return 0

    def await_worked_off(self, name: str) -> None:
        """Wait until nothing waits at a broker and nothing is being worked on, as `telemetry status` shows it."""

        def is_empty() -> bool:
            self.tend()
            with broker.connect(self.settings.brokers[name]) as client:
                return not client.llen("telemetry.ingest") and not client.hlen(KEYS.unacked("central"))

        eventually(is_empty, EXACT_S, every_s=0.2, what=f"an empty queue at {name}")

    def tend(self) -> None:
        """Start again what has ended by itself, also of the other edge."""
        super().tend()
        for process in [each for each in self.others if each.poll() is not None]:
            self.tended += 1
            at = self.others.index(process)
            self.others[at] = self._start_other("beat" if not at else "streamer")

    def stop(self) -> None:
        """End everything."""
        for process in self.others:
            kill_tree(process.pid)
            process.wait()
        super().stop()

    def _edge(self) -> dict[str, str]:
        return {**super()._edge(), "TELEMETRY_EDGE": self.moving, "TELEMETRY_SOURCES": self._files("a")}

    def _files(self, name: str) -> str:
        return str(self.directory / "sources" / f"{name}*.csv")

    def _start_others(self) -> None:
        self.others += [self._start_other("beat"), self._start_other("streamer")]

    def _start_other(self, kind: str) -> subprocess.Popen[bytes]:
        told = {
            **super()._edge(),
            "TELEMETRY_EDGE": self.staying,
            "TELEMETRY_SOURCES": self._files("[!a]"),
            "TELEMETRY_STATE_DIR": str(self.directory / "state-of-the-other"),
        }
        worker = ("worker", "--without-gossip", "--without-mingle", "-l", "info", "-n", "other@fault")
        return self.start_process(
            f"other-{kind}", "celery", "-A", "telemetry", *(("beat",) if kind == "beat" else worker), **told
        )
