"""A synthetic edge of the benchmark says to the broker what a real one says."""

from __future__ import annotations

import os
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
    last = f"ECHO {os.urandom(8).hex()}"

    def listen() -> None:
        # What was sent before may come late.
        while (heard := monitor.next_command())["command"] != last:
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
            with broker.connect(settings) as other:
                other.execute_command(*last.split())
            thread.join()


def are_alike(synthetic: int, real: int, synthetic_ticks: int, real_ticks: int) -> bool:
    """Whether there are about as many commands a tick. One that was sent may not have begun."""
    a_tick = synthetic / synthetic_ticks
    return real / real_ticks - 0.5 <= a_tick <= real / (real_ticks - 1) + 0.5


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
    ticks = synthetic["LPUSH tick"], real["LPUSH tick"]
    apart = {n: (synthetic[n], real[n]) for n in {*synthetic, *real} if not are_alike(synthetic[n], real[n], *ticks)}
    assert not apart, ticks
