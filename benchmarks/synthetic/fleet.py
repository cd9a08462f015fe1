"""Many synthetic edges in time: each ticks once an interval, spread evenly over it; lag is counted as they go."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

from benchmarks.bench import Bench, Site
from benchmarks.synthetic import payloads
from benchmarks.synthetic.edge import Edge
from benchmarks.synthetic.envelope import Envelope
from benchmarks.synthetic.payloads import NODE, ROWS, WARM_UPS, Payloads, Shape
from telemetry.settings.brokers import chosen

SLOTS = 100
SPARE_FILES = 500
MAX_CLIENTS = 100_000


@dataclass(frozen=True, slots=True)
class Sample:
    """A second of a run: rows due by then and acknowledged; messages on the queues; what was watched beside."""

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

    `clients` are of its brokers, by name. `cpu_share` is what this process took of a core while it played the edges, on the
    machine of the centre.
    """

    site: Site
    clients: Mapping[str, redis.Redis]
    edges: list[Edge]
    shape: Shape = NODE
    # Ids of the main processes.
    collectors: list[int] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    late_s: float = 0.0
    cpu_share: float = 0.0
    first_s: float = 0.0
    # Of the run: when it began, the next hundredth of a second, batches due by then, batches acknowledged before.
    _begun_s: float = 0.0
    _slot: int = 0
    _due: int = 0
    _before: int = 0

    @property
    def client(self) -> redis.Redis:
        """That of its one broker."""
        (client,) = self.clients.values()
        return client

    def warm_up(self, times: int = WARM_UPS) -> None:
        """Some batches of each edge, each stored before the next: `first_s` is what the first took, with its new series."""
        for number in range(1, times + 1):
            begun, total = time.monotonic(), number * len(self.edges)
            # In another order each time, so that each process of the collector meets all of them.
            self._owe(self.edges)
            self._tick(random.Random(number).sample(self.edges, len(self.edges)))  # noqa: S311
            self.site.wait(lambda: self._collect() == total, "the first batches of each edge", every_s=0.2)  # noqa: B023
            self.first_s = self.first_s or time.monotonic() - begun

    def run(self, seconds: int, watch: Callable[[], int] = lambda: 0) -> None:
        """So many seconds. `watch` is asked in each."""
        self._before, self._due = sum(edge.acked for edge in self.edges), 0
        self._begun_s, self._slot, cpu = time.monotonic(), 0, time.process_time()
        for _ in range(seconds):
            self.late_s = max(self.late_s, self._second())
            self._sample(watch())
        self.cpu_share = (time.process_time() - cpu) / (time.monotonic() - self._begun_s)

    @property
    def ticks(self) -> int:
        """Ticks, and batches that came due, of the run."""
        return self._due

    def acknowledged_share(self) -> float:
        """Rows acknowledged now by rows that are due. An edge asks at its next tick only, so all are asked."""
        return (self._collect() - self._before) / self._due

    def restart(self, down_s: int, most_s: int) -> tuple[float, float]:
        """End all edges at once, and start them at once after so many seconds.

        Returns the seconds until all are connected and have their sources, and until no more is waited for than before;
        `most_s` if it takes longer. What came due meanwhile, each publishes at once.
        """
        usual = max(sample.lag for sample in self.samples[-max(1, len(self.samples) // 3) :])
        connections = [edge.connections for edge in self.edges]
        for edge in self.edges:
            edge.close()
        for _ in range(down_s * SLOTS):
            self._owe(self._of_slot())
            self._slot += 1
        time.sleep(max(0.0, self._begun_s + self._slot / SLOTS - time.monotonic()))
        begun_s = time.monotonic()
        for edge, number in zip(self.edges, connections, strict=True):
            edge.open(number)
        connected_s = time.monotonic() - begun_s
        for at in range(SLOTS):
            self._tick(self.edges[at::SLOTS])
        while time.monotonic() - begun_s < most_s:
            self._second()
            if self._lag() <= usual:
                break
        return connected_s, time.monotonic() - begun_s

    def _second(self) -> float:
        """A second of the schedule; how late it was at most."""
        late_s = 0.0
        for _ in range(SLOTS):
            left = self._begun_s + self._slot / SLOTS - time.monotonic()
            late_s = max(late_s, -left)
            time.sleep(max(0.0, left))
            edges = self._of_slot()
            self._owe(edges)
            self._tick(edges)
            self._slot += 1
        return late_s

    def _of_slot(self) -> list[Edge]:
        period = SLOTS * self.shape.interval_s
        return self.edges[self._slot % period :: period]

    def _owe(self, edges: list[Edge]) -> None:
        for edge in edges:
            edge.owed += 1
        self._due += len(edges)

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
        total = sum(edge.published for edge in self.edges)
        self.site.wait(lambda: self._collect() == total, "the last acknowledgements", timeout_s, every_s=0.2)

    def published(self) -> dict[str, list[float]]:
        """When each edge sent its batches, without those that warmed up, by its key of acknowledgements."""
        return {edge.acks: edge.sent_s[WARM_UPS:] for edge in self.edges}

    def _sample(self, watched: int) -> None:
        queue = self.site.settings.ingest_queue
        queued = sum(int(client.llen(queue)) for client in self.clients.values())
        due, acked = self._due * ROWS, (sum(edge.acked for edge in self.edges) - self._before) * ROWS
        self.samples.append(Sample(due, acked, queued, watched))

    def _lag(self) -> int:
        return (self._due - sum(edge.acked for edge in self.edges) + self._before) * ROWS

    def connections(self) -> int:
        """Clients that the brokers have."""
        return sum(int(client.info("clients")["connected_clients"]) for client in self.clients.values())

    def connect(self, each: int) -> None:
        """Let every edge hold so many connections, or as many as this process may open."""
        for edge in self.edges:
            edge.connect(min(each, (_room() - SPARE_FILES) // len(self.edges)))


def _room() -> int:
    """How many connections this process, or a broker, may hold."""
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], MAX_CLIENTS) - SPARE_FILES


@contextmanager
def encoded(directory: Path, edges: int, number: int, shape: Shape = NODE) -> Iterator[Payloads]:
    """So many batches of each edge, in a file there."""
    batches = Payloads(directory / "payloads", shape)
    try:
        for edge in range(edges):
            batches.encode(edge, number)
        yield batches
    finally:
        batches.close()


@contextmanager
def playing(bench: Bench, site: Site, clients: Mapping[str, redis.Redis], edges: int, batches: Payloads) -> Iterator[Fleet]:
    """So many edges, each at the broker that it would take."""
    with ExitStack() as stack:
        first, *_ = clients
        for client in clients.values():
            # A server takes 10,000 by default, collectors among them.
            client.config_set("maxclients", _room())
        named = {"TELEMETRY_BROKER_NAME": first} if first else {}
        envelope = Envelope.captured(site, clients[first], bench.warm_up, **named)
        made: list[Edge] = []
        for number in range(edges):
            client = clients[chosen(list(clients), payloads.name(number))]
            edge = Edge(number, site.settings, client, envelope, batches)
            stack.callback(edge.close)
            made.append(edge)
        yield Fleet(site, clients, made, batches.shape)


@contextmanager
def fleet(bench: Bench, site: Site, edges: int, seconds: int) -> Iterator[Fleet]:
    """So many edges that can run for so many seconds, beside a collector that runs already; warm."""
    with (
        site.client() as client,
        encoded(site.directory, edges, seconds + WARM_UPS) as batches,
        playing(bench, site, {"": client}, edges, batches) as running,
    ):
        running.collectors.append(site.start_collector().pid)
        running.warm_up()
        yield running
