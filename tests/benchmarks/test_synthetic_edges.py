"""A synthetic edge of the benchmark says to the broker what a real one says."""

from __future__ import annotations

import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import redis

from benchmarks import data
from benchmarks.feeder import Feeder, Growing
from benchmarks.synthetic import payloads
from benchmarks.synthetic.edge import Edge as SyntheticEdge
from benchmarks.synthetic.envelope import Envelope
from telemetry import broker
from telemetry.settings import Settings
from tests.fixtures.processes import end
from tests.streamer.edge import Edge
from tests.waiting import eventually

TICKS = 4
# So few that a tick that comes late still has no more than one batch to publish.
ROWS_PER_S = 40
# Those of the test, which plays the centre; and those of no tick: of connecting, and of telling answers apart.
OTHERS = {"RPOP", "HSET", "EXPIRE", "PING", "CLIENT", "SCRIPT", "SELECT", "ECHO"}


@contextmanager
def said(settings: Settings) -> Iterator[Counter[str]]:
    """Counts the commands of edges on the test's broker while it is entered, by their name and the queue they are for."""
    counts: Counter[str] = Counter()
    over = threading.Event()

    def listen() -> None:
        while not over.is_set():
            heard = monitor.next_command()
            name, *words = str(heard["command"]).split(" ", 2)
            if heard["db"] == database and heard["client_type"] != "lua" and name not in OTHERS:
                queue = words[0].removeprefix(settings.key_prefix).split(".")[1:2] if name == "LPUSH" else []
                counts[" ".join((name, *queue))] += 1

    with broker.connect(settings) as client:
        database = client.connection_pool.connection_kwargs["db"]
        with client.monitor() as monitor:
            thread = threading.Thread(target=listen)
            thread.start()
            yield counts
            over.set()
            with broker.connect(settings) as other:
                other.ping()
            thread.join()


def a_tick(counts: Counter[str]) -> dict[str, float]:
    """Commands by the ticks that beat sent."""
    return {name: number / counts["LPUSH tick"] for name, number in counts.items()}


def test_a_synthetic_edge_says_what_a_real_one_says(
    start_edge: Callable[..., Iterable[subprocess.Popen[bytes]]], settings: Settings, redis_client: redis.Redis, tmp_path: Path
) -> None:
    centre = Edge(settings, redis_client)
    with Growing(data.write(tmp_path / "all.csv", 10_000), tmp_path / "grown.csv") as file, Feeder(file, ROWS_PER_S):
        processes = start_edge(file.path, TELEMETRY_REPUBLISH_AFTER_S="30")
        raw = eventually(lambda: redis_client.lindex(settings.ingest_queue, 0), 20)
        assert isinstance(raw, bytes)
        centre.acknowledge(*centre.fetch())
        with said(settings) as real:

            def ticked() -> bool:
                centre.acknowledge(*centre.fetch())
                return real["LPUSH tick"] > TICKS

            eventually(ticked, 20)
    for process in processes:
        end(process)

    batches = payloads.Payloads(tmp_path / "payloads")
    batches.encode(0, TICKS + 1)
    pretend = replace(settings, edge=payloads.name(0), key_prefix=f"{settings.key_prefix}-synthetic")
    centre = Edge(pretend, redis_client)
    synthetic_edge = SyntheticEdge(0, pretend, redis_client, Envelope(raw), batches)
    with said(pretend) as synthetic:
        for _ in range(TICKS):
            synthetic_edge.owed += 1
            for step in (synthetic_edge.begin, synthetic_edge.go_on, synthetic_edge.end):
                step()
            centre.acknowledge(*centre.fetch())
    synthetic_edge.close()
    batches.close()
    assert (synthetic_edge.published, synthetic_edge.acked) == (TICKS, TICKS - 1)
    told, wanted = a_tick(synthetic), a_tick(real)
    names = {*told, *wanted}
    apart = {n: (told.get(n, 0), wanted.get(n, 0)) for n in names if abs(told.get(n, 0) - wanted.get(n, 0)) > 0.5}
    assert not apart
