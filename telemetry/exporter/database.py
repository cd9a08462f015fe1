"""What the database knows: the ledger's totals and gaps, what waits for a person, sizes, partitions.

A gap that is found is logged once as a warning, and once more when it has closed.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

import redis
from prometheus_client.metrics_core import Metric
from sqlalchemy import Engine

from telemetry.exporter.broker import EDGE, MAX_EDGES
from telemetry.exporter.families import gauge, keyed, single
from telemetry.monitoring import logs
from telemetry.monitoring.counters.definitions import ROW_CLASSES
from telemetry.progress import losses, reading
from telemetry.progress.keys import Keys
from telemetry.settings import Settings
from telemetry.store.read import exporter
from telemetry.store.read.gaps import Committed, Gap, Lost, gaps

log = logging.getLogger(__name__)


def look(engine: Engine, settings: Settings) -> Sequence[Metric]:
    """What is cheap to ask. Raises SQLAlchemyError."""
    with engine.connect() as connection:
        commit_age_s = exporter.commit_age_s(connection)
        dead_letters = exporter.dead_letters(connection)
        size, tables = exporter.sizes(connection)
        partitions = exporter.partitioned(connection)
    found = [
        single("telemetry_database_size_bytes", "Size of the database.", size),
        keyed("telemetry_table_size_bytes", "Size of a table with its indexes and partitions.", "table", tables),
        single("telemetry_partitions", "Partitions of the samples.", partitions.number),
        single("telemetry_dead_letters", "Messages that could not be stored and wait for a person.", dead_letters),
    ]
    if settings.database_capacity_bytes:
        text = "Bytes the database may take, as the settings say."
        found.append(single("telemetry_database_capacity_bytes", text, settings.database_capacity_bytes))
    if commit_age_s is not None:
        text = "Seconds since a batch was committed last, on the database's clock."
        found.append(single("telemetry_last_commit_age_seconds", text, commit_age_s))
    if partitions.left_s is not None:
        text = "Seconds until the last partition of the samples ends, on the database's clock; negative once it has."
        found.append(single("telemetry_partitions_left_seconds", text, partitions.left_s))
    return found


def ledger(engine: Engine) -> Sequence[Metric]:
    """The totals of the whole ledger. Raises SQLAlchemyError."""
    with engine.connect() as connection:
        edges = exporter.totals(connection, MAX_EDGES)
        quarantined = exporter.quarantined(connection)
    rows = (((*_edge(each.edge), name), float(getattr(each, name) or 0)) for each in edges for name in ROW_CLASSES)
    batches = (
        ((*_edge(each.edge), status), float(getattr(each, f"{status}_batches")))
        for each in edges
        for status in ("stored", "dead")
    )
    return [
        gauge("telemetry_ledger_rows", "Rows of all batches in the ledger, by class.", (*EDGE, "row_class"), rows),
        gauge("telemetry_ledger_batches", "Batches in the ledger.", (*EDGE, "status"), batches),
        single("telemetry_quarantined_rows", "Rows in quarantine.", quarantined),
    ]


class Audit:
    """Looks for gaps in the whole ledger, and remembers those it has said."""

    def __init__(self, engine: Engine, settings: Settings, client: redis.Redis) -> None:
        self._engine = engine
        self._settings = settings
        self._client = client
        self._keys = Keys(settings.key_prefix)
        self._committed: Sequence[Committed] = ()
        self._lost: Sequence[Lost] = ()
        self._said: dict[tuple[str, str, int | None, int], Gap] = {}

    def __call__(self) -> Sequence[Metric]:
        """What there is. Raises SQLAlchemyError."""
        # Before the ledger: what is committed while this looks must not seem to be missing there.
        with suppress(redis.RedisError):
            states = reading.sources_by_edge(self._client, self._keys, MAX_EDGES)
            self._committed = [Committed(*held) for held in reading.committed(states)]
            self._lost = [
                Lost(loss.edge, loss.lost.fingerprint, loss.lost.start, loss.lost.end)
                for loss in losses.of_all_edges(self._client, self._keys, MAX_EDGES)
            ]
        with self._engine.connect() as connection:
            found = gaps(connection, self._settings.gap_alert_s, self._committed, self._lost)
            edges = exporter.edges(connection, MAX_EDGES)
        self._say(found)
        return [*_gaps(found, edges)]

    def _say(self, found: Sequence[Gap]) -> None:
        now = {(gap.edge, gap.path, gap.anchor, gap.start): gap for gap in found}
        for key, gap in now.items():
            if key not in self._said:
                with logs.about(edge=gap.edge):
                    log.warning("gap: bytes %d to %d of %s are missing since %s", gap.start, gap.end, gap.path, gap.since)
        for key, gap in self._said.items():
            if key not in now:
                with logs.about(edge=gap.edge):
                    log.info("gap closed: bytes %d to %d of %s", gap.start, gap.end, gap.path)
        self._said = now


def _gaps(found: Iterable[Gap], edges: Iterable[str]) -> Iterator[Metric]:
    number, size = Counter(dict.fromkeys(edges, 0)), Counter(dict.fromkeys(edges, 0))
    for gap in found:
        number[gap.edge] += 1
        size[gap.edge] += gap.end - gap.start
    text = "Stretches of bytes that the ledger has passed without having them, for longer than is healthy."
    yield gauge("telemetry_ledger_gaps", text, EDGE, ((_edge(edge), value) for edge, value in number.items()))
    text = "Bytes in those stretches."
    yield gauge("telemetry_ledger_gap_bytes", text, EDGE, ((_edge(edge), value) for edge, value in size.items()))


def _edge(edge: str) -> tuple[str, str]:
    return edge.partition("/")[0], edge
