"""Several brokers: one dies while edges stream, one is added, and an edge moves to it. Nothing is lost or doubled."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import LiteralString

import psycopg
import pytest

from telemetry import broker
from telemetry.local.servers import Valkey
from telemetry.progress import reading
from tests.faults.breaking import SEVERAL_FAULTS
from tests.faults.fleet import KEYS, Fleet, edge_at
from tests.faults.site import Site, kill_tree, site
from tests.launching import BIN
from tests.ports import free_port
from tests.waiting import eventually

ROWS_PER_S = 500
# Of each edge, also where its processes were started again.
RECOVERY_S = 30.0


STAYS, OTHER, MOVES = edge_at("a", "a"), edge_at("b", "b"), edge_at("a", "c")


class ThreeEdges:
    """Some edges and collectors on brokers `a` and `b`, to which `c` may come. A file is named like its edge's node."""

    def __init__(self, of: Site, brokers: dict[str, Valkey]) -> None:
        self.site, self.brokers = of, brokers
        self.edges: dict[str, list[subprocess.Popen[bytes]]] = {}
        self.collectors: list[subprocess.Popen[bytes]] = []

    def name(self, *brokers: str) -> None:
        """What each process is told that starts from now on."""
        urls = " ".join(f"{name}={self.brokers[name].url}" for name in brokers)
        self.site.variables["TELEMETRY_BROKER_URLS"] = urls

    def start_collector(self, name: str) -> None:
        self.collectors.append(
            self.site.start_process(
                f"collector-{name}",
                *("celery", "-A", "telemetry", "worker", "--concurrency", "1", "--without-gossip", "--without-mingle"),
                *("-n", f"collector-{name}@fault", "-l", "info"),
                TELEMETRY_ROLE="central",
                TELEMETRY_BROKER_NAME=name,
            )
        )

    def start_edge(self, edge: str) -> None:
        node = edge.partition("/")[2]
        told = {
            "TELEMETRY_ROLE": "edge",
            "TELEMETRY_EDGE": edge,
            "TELEMETRY_SOURCES": str(self.site.directory / "sources" / f"{node}.csv"),
            "TELEMETRY_STATE_DIR": str(self.site.directory / f"state-{node}"),
        }
        streamer = ("celery", "-A", "telemetry", "worker", "--without-gossip", "--without-mingle", "-l", "info")
        self.edges[edge] = [
            self.site.start_process(f"beat-{node}", "celery", "-A", "telemetry", "beat", **told),
            self.site.start_process(f"streamer-{node}", *streamer, "-n", f"streamer-{node}@fault", **told),
        ]

    def end_edge(self, edge: str) -> None:
        end(self.edges.pop(edge))

    def rows(self, edge: str) -> int:
        """What is committed of an edge."""
        return self.sum("SELECT coalesce(sum(rows), 0) FROM batches WHERE edge = %s", edge)

    def sum(self, query: LiteralString, edge: str) -> int:
        """A number of the ledger."""
        with psycopg.connect(self.site.postgres.url, autocommit=True) as connection:
            (number,) = connection.execute(query, [edge]).fetchone() or (0,)
        return int(number)

    def flows(self, *edges: str) -> None:
        """Wait until more is committed of each edge."""
        before = {edge: self.rows(edge) for edge in edges}
        eventually(lambda: all(self.rows(edge) > before[edge] + ROWS_PER_S for edge in edges), 60, what="rows of each edge")

    def knows(self, name: str) -> list[str]:
        """The edges with sources at a broker."""
        with broker.connect(self.site.settings.brokers[name]) as client:
            return [edge for edge in reading.edges(client, KEYS) if reading.sources(client, KEYS, edge)]


def end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        kill_tree(process.pid)
        process.wait()


@contextmanager
def three_edges(directory: Path, edges: Mapping[str, str]) -> Iterator[ThreeEdges]:
    with site(collectors=0, streamers=0) as base:
        # Its beat is of an edge of one broker.
        end(base.edge)
        base.edge.clear()
        del base.variables["TELEMETRY_BROKER_URL"]
        with Valkey(directory / "b", {"save": ""}) as b, Valkey(directory / "c", {"save": ""}) as c:
            made = ThreeEdges(base, {"a": base.valkey, "b": b, "c": c})
            made.name("a", "b")
            try:
                for name in ("a", "b"):
                    made.start_collector(name)
                for edge in edges:
                    base.feed(ROWS_PER_S, name=edge.partition("/")[2])
                    made.start_edge(edge)
                yield made
            finally:
                end([*made.collectors, *(process for some in made.edges.values() for process in some)])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_one_of_two_brokers_dies_and_a_third_is_added(tmp_path: Path) -> None:
    with three_edges(tmp_path, {STAYS: "a", OTHER: "b", MOVES: "a"}) as made:
        made.flows(STAYS, OTHER, MOVES)
        assert (set(made.knows("a")), made.knows("b")) == ({STAYS, MOVES}, [OTHER])

        made.brokers["b"].kill()
        made.flows(STAYS, MOVES)
        status = shown(made)
        assert "broker a  ok" in status
        assert "broker b  NO ANSWER" in status
        stood = made.rows(OTHER)
        made.flows(STAYS)
        assert made.rows(OTHER) == stood
        # It comes back without its keys.
        made.brokers["b"].start()
        made.flows(OTHER)

        made.name("a", "b", "c")
        made.start_collector("c")
        for edge in (STAYS, OTHER, MOVES):
            made.end_edge(edge)
            made.start_edge(edge)
        made.flows(STAYS, OTHER, MOVES)
        assert (made.knows("b"), made.knows("c")) == ([OTHER], [MOVES])
        assert f"{MOVES} has moved here from the broker a, with 1 sources" in made.site.log()
        assert "has moved here" not in made.site.log().replace(f"{MOVES} has moved here", "")
        exporter = ("telemetry", "exporter", "--port", str(free_port()))
        made.collectors.append(made.site.start_process("exporter", *exporter, TELEMETRY_EXPORTER_INTERVAL_S="1"))
        eventually(lambda: made.knows("a") == [STAYS], 60, what="the former broker forgets the edge that moved")
        assert shown(made).count(f"edge      {MOVES}") == 1

        counts = made.site.settle()
        assert counts["missing"] == counts["extra"] == counts["conflict"] == 0
        assert made.site.doubled(counts) == 0
        # It went on where it was, and read nothing again as other batches.
        assert made.sum("SELECT coalesce(sum(duplicate), 0) FROM batches WHERE edge = %s", MOVES) == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_brokers_come_die_and_go() -> None:
    with site(kind=Fleet) as running:
        for name in ("a", "b"):
            running.feed(ROWS_PER_S, name)
        running.wait_for_flow()
        for name, fault in SEVERAL_FAULTS.items():
            fault(running, Random(name))  # noqa: S311
            assert running.wait_for_flow(500) < RECOVERY_S, name
        counts = running.settle()
        assert (counts["missing"], counts["extra"], counts["dead"], counts["conflict"]) == (0, 0, 0, 0)
        assert running.doubled(counts) == 0
        # No file went.
        assert "LOST:" not in running.log()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("is_frozen", [False, True])
def test_an_edge_moves_while_its_batches_are_queued(tmp_path: Path, is_frozen: bool) -> None:
    """What it left behind is stored later, beside what it has sent again, and each reading is there once.

    Also where its former broker does not answer meanwhile, so that nothing of its state comes along.
    """
    with three_edges(tmp_path, {MOVES: "a", OTHER: "b"}) as made:
        made.flows(MOVES, OTHER)
        end([made.collectors.pop(0)])
        former = made.site.settings.brokers["a"]
        with broker.connect(former) as client:
            eventually(lambda: client.llen(former.ingest_queue) >= 3, 60, what="batches that nobody fetches")
        made.name("a", "b", "c")
        made.start_collector("c")
        made.end_edge(MOVES)
        frozen = made.brokers["a"].pid
        assert frozen, "it runs"
        if is_frozen:
            os.kill(frozen, signal.SIGSTOP)
        made.start_edge(MOVES)
        made.flows(MOVES, OTHER)
        if is_frozen:
            os.kill(frozen, signal.SIGCONT)
        made.start_collector("a")
        with broker.connect(former) as client:
            eventually(lambda: client.llen(former.ingest_queue) == 0, 60, what="what was left behind, fetched")
        made.flows(MOVES)
        counts = made.site.settle()
        assert counts["missing"] == counts["extra"] == counts["conflict"] == 0
        assert made.site.doubled(counts) == 0


def shown(made: ThreeEdges) -> str:
    done = subprocess.run(
        [str(BIN / "telemetry"), "status", "--all"],
        env={**os.environ, **made.site.variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout
