"""Many synthetic edges in time: each ticks once a second, spread evenly over it; lag is counted as they go."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import redis

from benchmarks.bench import Bench, Site
from benchmarks.synthetic.edge import Edge
from benchmarks.synthetic.envelope import Envelope
from benchmarks.synthetic.payloads import ROWS, WARM_UPS, Payloads

SLOTS = 100
SPARE_FILES = 500
MAX_CLIENTS = 50_000


@dataclass(frozen=True, slots=True)
class Sample:
    """A second of a run: rows due by then and acknowledged; messages on the queue; what was watched beside."""

    due: int
    acked: int
    queued: int
    watched: int

    @property
    def lag(self) -> int:
        """Rows that should be stored and are not known to be."""
        return self.due - self.acked


@dataclass
class Fleet:
    """Edges and their samples. `late_s` is the worst delay of the schedule: what is measured is only true if it is small.

    `cpu_share` is what this process took of a core while it played the edges, on the same machine as the centre.
    """

    site: Site
    client: redis.Redis
    edges: list[Edge]
    samples: list[Sample] = field(default_factory=list)
    late_s: float = 0.0
    cpu_share: float = 0.0
    first_s: float = 0.0

    def warm_up(self) -> None:
        """Some batches of each edge, each stored before the next: `first_s` is what the first took, with its new series."""
        for number in range(1, WARM_UPS + 1):
            begun, wanted = time.monotonic(), number * len(self.edges)
            # In another order each time, so that each process of the collector meets all of them.
            self._tick(random.Random(number).sample(self.edges, len(self.edges)))  # noqa: S311
            self.site.wait(lambda: self._collect() == wanted, "the first batches of each edge", every_s=0.2)  # noqa: B023
            self.first_s = self.first_s or time.monotonic() - begun

    def run(self, seconds: int, watch: Callable[[], int] = lambda: 0) -> None:
        """So many ticks of each edge. `watch` is asked every second."""
        before = sum(edge.acked for edge in self.edges)
        begun, cpu = time.monotonic(), time.process_time()
        for second in range(seconds):
            for slot in range(SLOTS):
                left = begun + second + slot / SLOTS - time.monotonic()
                self.late_s = max(self.late_s, -left)
                time.sleep(max(0.0, left))
                self._tick(self.edges[slot::SLOTS])
            self._sample(second + 1, before, watch())
        self.cpu_share = (time.process_time() - cpu) / (time.monotonic() - begun)

    def _tick(self, edges: list[Edge]) -> None:
        for step in (Edge.begin, Edge.go_on, Edge.end):
            for edge in edges:
                step(edge)

    def _collect(self) -> int:
        """Batches acknowledged; the edges publish nothing meanwhile."""
        for edge in self.edges:
            edge.look()
        return sum(edge.acked for edge in self.edges)

    def drain(self, timeout_s: float) -> None:
        """Wait until all that was published is acknowledged."""
        wanted = sum(edge.published for edge in self.edges)
        self.site.wait(lambda: self._collect() == wanted, "the last acknowledgements", timeout_s, every_s=0.2)

    def published(self) -> dict[str, list[float]]:
        """When each edge sent its batches, without those that warmed up, by its key of acknowledgements."""
        return {edge.acks: edge.sent_s[WARM_UPS:] for edge in self.edges}

    def _sample(self, seconds: int, before: int, watched: int) -> None:
        acked = sum(edge.acked for edge in self.edges) - before
        queued = int(self.client.llen(self.site.settings.ingest_queue))
        self.samples.append(Sample(seconds * len(self.edges) * ROWS, acked * ROWS, queued, watched))

    def connections(self) -> int:
        """Clients the broker has."""
        return int(self.client.info("clients")["connected_clients"])

    def connect(self, each: int) -> None:
        """Let every edge hold so many connections, or as many as this process may open."""
        room = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], MAX_CLIENTS) - SPARE_FILES
        self.client.config_set("maxclients", room)
        for edge in self.edges:
            edge.connect(self.client, min(each, (room - SPARE_FILES) // len(self.edges)))


@contextmanager
def fleet(bench: Bench, site: Site, edges: int, seconds: int) -> Iterator[Fleet]:
    """So many edges that can run for so many seconds, beside a collector that runs already; warm."""
    with ExitStack() as stack:
        client = stack.enter_context(site.client())
        batches = Payloads(site.directory / "payloads")
        stack.callback(batches.close)
        for number in range(edges):
            batches.encode(number, seconds + WARM_UPS)
        envelope = Envelope.captured(site, client, bench.warm_up)
        made = []
        for number in range(edges):
            edge = Edge(number, site.settings, client, envelope, batches)
            stack.callback(edge.close)
            made.append(edge)
        site.start_collector()
        running = Fleet(site, client, made)
        running.warm_up()
        yield running
