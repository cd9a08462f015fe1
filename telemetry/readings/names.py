"""The names by which edges and the centre find each other: tasks, queues, a message header, an edge, and files.

The names of Redis keys are `telemetry.progress.keys`'s, what a message holds is `wire`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

# Tasks.
PERSIST = "telemetry.collector.persist"
TICK = "telemetry.streamer.tick"
# The header of a Celery message that says how many readings the message holds.
ROWS_HEADER = "rows"

# Of a message on the queue: the largest payload (`wire`) as base64, and the rest. A longer one is not decoded.
MAX_MESSAGE_BYTES = 48 << 20
CHARACTERS = "-_./"
# Characters of the name of an edge.
MAX_EDGE = 255
# The cluster in the names of `telemetry ingest`'s edges, and the edge that reads what was sent to the API.
INGEST = "ingest"
UPLOADS = "central/uploads"
# By these id, fingerprint and format a trial's source is known, and by this path: no file is called so.
TRIAL, TRIAL_PATH = "trial", "a trial of telemetry"
# The files of a directory that are named so are taken for CSV, packed or not.
CSV_ENDINGS = (".csv", ".csv.gz", ".csv.zst", ".csv.xz")


def ingest_queue(prefix: str) -> str:
    """The queue that carries batches from the edges to the collectors."""
    return f"{prefix}.ingest"


def tick_queue(prefix: str, edge: str) -> str:
    """The queue of one edge's ticks; each edge has its own, so no node takes another's files."""
    return f"{prefix}.tick.{edge}"


@dataclass(frozen=True, slots=True)
class Edge:
    """A streaming site by its name, `cluster/node`. Any text is accepted here, as names also come from strangers."""

    name: str

    @classmethod
    def parse(cls, text: str) -> Edge:
        """The edge of a name that we choose ourselves. Raises ValueError for a text that is not such a name."""
        edge = cls(text)
        if not (edge.cluster and edge.node) or not all(c.isalnum() or c in CHARACTERS for c in text):
            raise ValueError(f"{text!r} must read cluster/node, of letters, digits, '-', '_' and '.'")
        if len(text) > MAX_EDGE:
            raise ValueError(f"is {len(text)} characters long, the limit is {MAX_EDGE}")
        return edge

    @property
    def cluster(self) -> str:
        """The part before the first slash; the whole name where there is none."""
        return self.name.partition("/")[0]

    @property
    def is_passing(self) -> bool:
        """Whether it reads files that were brought from elsewhere."""
        return self.cluster == INGEST or self.name == UPLOADS

    @property
    def node(self) -> str:
        """The part after the first slash; empty where there is none."""
        return self.name.partition("/")[2]
