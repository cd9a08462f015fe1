"""Every Redis key and queue, declared once: its name, type and meaning, who writes it and who reads it.

`Keys` gives the names under one prefix. The table of keys in docs/MESSAGE_QUEUE_DESIGN.md is made from the declarations.
What stands in a key is read and written elsewhere: `claims`, `reading`, `acks`, `losses` here, the queues by Celery.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from telemetry.readings.names import ingest_queue, tick_queue

Type = Literal["list", "hash", "set", "zset", "string"]
Party = Literal["streamer", "beat", "collector", "API", "exporter", "flower", "commands"]


@dataclass(frozen=True, slots=True)
class Key:
    """One kind of key. In `name`, {p} is the prefix, {edge} is `cluster/node`, {owner} is `central` or `edge.{edge}`.

    An edge's own keys name it. Of all others it may use those commands that stand in `of_edges`, and no more:
    `telemetry.trust.rights` makes the broker's users of this.
    """

    name: str
    type: Type
    meaning: str
    writers: tuple[Party, ...] = ()
    readers: tuple[Party, ...] = ()
    of_edges: tuple[str, ...] = ()


INGEST = Key(
    ingest_queue("{p}"),
    "list",
    "Celery queue: batches on their way to the collectors",
    ("streamer", "collector", "API"),
    ("collector", "streamer", "exporter", "flower", "commands"),
    of_edges=("lpush", "llen"),
)
TICK = Key(
    tick_queue("{p}", "{edge}"), "list", "Celery queue: an edge's ticks", ("beat", "exporter"), ("streamer", "beat", "exporter")
)
UNACKED = Key(
    "{p}.unacked.{owner}",
    "hash",
    "Celery: messages fetched and not yet acknowledged",
    ("collector", "streamer"),
    ("collector", "streamer", "API", "exporter", "commands"),
    of_edges=("hlen",),
)
UNACKED_INDEX = Key(
    "{p}.unacked_index.{owner}", "zset", "Celery: when they were fetched", ("collector", "streamer"), ("collector", "streamer")
)
UNACKED_MUTEX = Key(
    "{p}.unacked_mutex.{owner}",
    "string",
    "Celery: the worker that looks for messages fetched too long ago",
    ("collector", "streamer"),
    ("collector", "streamer"),
)
EDGES = Key(
    "{p}:edges",
    "set",
    "names of the edges that have streamed",
    ("streamer", "exporter"),
    ("API", "exporter", "commands"),
    of_edges=("sadd",),
)
SIGN = Key(
    "{p}:sign:{edge}",
    "string",
    "of an edge that streams for good: when it reported last, and when it must report again at the latest, in ms; expires "
    "when the edge is silent for 90 days",
    ("streamer", "exporter"),
    ("API", "exporter", "commands"),
)
EXPECTED = Key(
    "{p}:expected",
    "zset",
    "the later of these two times, written by streamers of the version before; older than 90 days it is not read",
    ("streamer", "exporter"),
    ("API", "exporter", "commands"),
)
SEEN = Key("{p}:seen", "zset", "the earlier of them", ("streamer", "exporter"), ("API", "exporter", "commands"))
SOURCES = Key(
    "{p}:sources:{edge}",
    "set",
    "ids of the sources of an edge; expires when the edge is silent for 90 days",
    ("streamer", "exporter", "commands"),
    ("streamer", "API", "exporter", "commands"),
)
SOURCE = Key(
    "{p}:source:{edge}:{id}",
    "hash",
    "one source: `token` (fencing), `owner`, `lease_until_ms`, `state` (JSON: progress/state.py), `mark` of the last save",
    ("streamer", "exporter", "commands"),
    ("streamer", "API", "exporter", "commands"),
)
HEADER = Key(
    "{p}:header:{edge}:{id}",
    "string",
    "the header by which the last file at a path was read, for one that follows it without a header; expires",
    ("streamer",),
    ("streamer",),
)
ACKS = Key(
    "{p}:acks:{edge}:{id}",
    "hash",
    "batch id → `stored` and the database's generation, or `dead`; question → what the ledger holds; written after the commit, "
    "removed by the streamer, expires",
    ("collector", "streamer", "exporter", "commands"),
    ("streamer",),
)
TRIED = "attempts at a message that was worked on alone and did not end in order; expires"
ATTEMPTS = Key("{p}:attempts:{id}", "string", TRIED, ("collector",), ("collector",))
TAKEN = "what collectors took of an edge in the present window: `messages`, `bytes`, `rows`; expires with the window"
INTAKE = Key("{p}:intake:{edge}", "hash", TAKEN, ("collector",), ("collector",))
TOUCHED = "days since 1970 that collectors took readings of, of an edge in the present hour; expires with it"
DAYS = Key("{p}:days:{edge}", "set", TOUCHED, ("collector",), ("collector",))
LIVE = "live streamers of an edge → when each counts as dead, in ms; expires"
STREAMERS = Key("{p}:streamers:{edge}", "zset", LIVE, ("streamer", "exporter"), ("streamer", "beat", "exporter", "commands"))
STREAMING = "the machine that streams for an edge: `id`, `name`, `until_ms`; expires with its lease"
MACHINE = Key("{p}:machine:{edge}", "hash", STREAMING, ("streamer", "exporter"), ("streamer",))
SECOND_MACHINES = Key(
    "{p}:machines:{edge}",
    "zset",
    "machines that have the name of an edge and are refused → when each asked last, in ms; expires",
    ("streamer", "exporter"),
    ("exporter", "commands"),
)
LOST = Key(
    "{p}:lost:{edge}",
    "zset",
    "lost ranges of an edge (JSON) → when each was recorded, in s; the latest 1,000; expires",
    ("streamer", "exporter", "commands"),
    ("API", "exporter", "commands"),
)
EPOCH = Key(
    "{p}:epoch",
    "string",
    "random mark of this key space, made where there is none; another value means that the broker was replaced",
    ("streamer",),
    ("streamer", "exporter"),
    of_edges=("get", "setnx"),
)
GENERATION = Key(
    "{p}:generation",
    "string",
    "mark of the database's generation; another value means that it may have forgotten commits",
    ("collector", "commands"),
    ("streamer",),
    of_edges=("get",),
)
DATABASE_CLOCK = Key(
    "{p}:database_clock",
    "string",
    "by how many µs the database's clock is ahead of the broker's; expires",
    ("exporter",),
    ("streamer",),
    of_edges=("get",),
)
RATES = Key(
    "{p}:rates",
    "string",
    "prefix of the keys that count requests to the API per API key or address in the present window; they expire",
    ("API",),
    ("API",),
)
# kombu's and Celery's own, which no prefix reaches: kombu/transport/redis.py, kombu/pidbox.py, celery/events. An edge binds
# its tick queue alone.
CELERY: tuple[Party, ...] = ("collector", "flower", "commands")
BINDING = Key("_kombu.binding.{exchange}", "set", "kombu: queues bound to an exchange", (*CELERY, "beat"), (*CELERY, "beat"))
BINDING_PERMANENT = Key(
    "_kombu.binding_permanent.{exchange}", "set", "kombu: the lasting ones of these queues", (*CELERY, "beat"), CELERY
)
BINDING_DEADLINES = Key("_kombu.binding_deadlines", "zset", "kombu: when bindings of passing queues end", CELERY, CELERY)
PIDBOX = Key("{id}.celery.pidbox", "list", "kombu: questions to a worker, and answers, such as to a ping", CELERY, CELERY)
EVENTS = Key("celeryev.{id}", "list", "Celery: what workers report, for one who looks on", ("flower",), ("flower",))

DECLARED = (
    *(INGEST, TICK, UNACKED, UNACKED_INDEX, UNACKED_MUTEX),
    *(EDGES, SIGN, EXPECTED, SEEN, SOURCES, SOURCE, HEADER, ACKS, ATTEMPTS, INTAKE, DAYS),
    *(STREAMERS, MACHINE, SECOND_MACHINES, LOST),
    *(EPOCH, GENERATION, DATABASE_CLOCK, RATES),
    *(BINDING, BINDING_PERMANENT, BINDING_DEADLINES, PIDBOX, EVENTS),
)


@dataclass(frozen=True, slots=True)
class Keys:
    """The names under one prefix."""

    prefix: str

    def tick(self, edge: str) -> str:
        """The queue of an edge's ticks."""
        return self._name(TICK, edge=edge)

    def edges(self) -> str:
        """The edges that have streamed."""
        return self._name(EDGES)

    def sign(self, edge: str) -> str:
        """An edge's last sign of life."""
        return self._name(SIGN, edge=edge)

    def intake(self, edge: str) -> str:
        """What collectors took of an edge."""
        return self._name(INTAKE, edge=edge)

    def days(self, edge: str) -> str:
        """Days that collectors took readings of, of an edge."""
        return self._name(DAYS, edge=edge)

    def expected(self) -> str:
        """The edges that stream for good, as those of before say it."""
        return self._name(EXPECTED)

    def seen(self) -> str:
        """When these were heard of last."""
        return self._name(SEEN)

    def sources(self, edge: str) -> str:
        """The ids of an edge's sources."""
        return self._name(SOURCES, edge=edge)

    def source(self, edge: str, source_id: str) -> str:
        """One source."""
        return self._name(SOURCE, edge=edge, id=source_id)

    def header(self, edge: str, path_digest: str) -> str:
        """The header of the last file at a path."""
        return self._name(HEADER, edge=edge, id=path_digest)

    def acks(self, edge: str, source_id: str) -> str:
        """A source's acknowledgements."""
        return self._name(ACKS, edge=edge, id=source_id)

    def attempts(self, message_id: str) -> str:
        """The count of attempts at a message."""
        return self._name(ATTEMPTS, id=message_id)

    def streamers(self, edge: str) -> str:
        """An edge's live streamers."""
        return self._name(STREAMERS, edge=edge)

    def machine(self, edge: str) -> str:
        """The machine that streams for an edge."""
        return self._name(MACHINE, edge=edge)

    def second_machines(self, edge: str) -> str:
        """Machines that an edge's name is refused to."""
        return self._name(SECOND_MACHINES, edge=edge)

    def lost(self, edge: str) -> str:
        """An edge's lost ranges."""
        return self._name(LOST, edge=edge)

    def epoch(self) -> str:
        """The mark of the key space."""
        return self._name(EPOCH)

    def generation(self) -> str:
        """The mark of the database's generation."""
        return self._name(GENERATION)

    def database_clock(self) -> str:
        """How far the database's clock is ahead of the broker's."""
        return self._name(DATABASE_CLOCK)

    def rates(self) -> str:
        """The prefix of the keys that count requests to the API."""
        return self._name(RATES)

    def unacked(self, owner: str) -> str:
        """The messages that workers of an owner have fetched and not acknowledged."""
        return self._name(UNACKED, owner=owner)

    def unacked_options(self, owner: str) -> dict[str, str]:
        """Celery's transport options that name the unacknowledged set of one owner."""
        named = {"unacked_key": UNACKED, "unacked_index_key": UNACKED_INDEX, "unacked_mutex_key": UNACKED_MUTEX}
        return {option: self._name(key, owner=owner) for option, key in named.items()}

    def _name(self, key: Key, **parts: str) -> str:
        return key.name.format(p=self.prefix, **parts)


def table() -> str:
    """The declarations as a Markdown table, with the prefix `telemetry`."""
    lines = ["| key | type | meaning | written by | read by |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| `{key.name.replace('{p}', 'telemetry')}` | {key.type} | {key.meaning} | {', '.join(key.writers) or 'Celery'} "
        f"| {', '.join(key.readers) or 'Celery'} |"
        for key in DECLARED
    ]
    return "\n".join(lines) + "\n"
