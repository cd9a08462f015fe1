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

from telemetry.exporter.broker import EDGE, MAX_EDGES, committed
from telemetry.exporter.families import gauge, keyed, single
from telemetry.monitoring import logs
from telemetry.monitoring.metrics import ROW_CLASSES
from telemetry.settings import Settings
from telemetry.store import watch
from telemetry.store.audit import Committed, Gap, gaps

log = logging.getLogger(__name__)


def look(engine: Engine, settings: Settings) -> Sequence[Metric]:
    """What is cheap to ask. Raises SQLAlchemyError."""
    with engine.connect() as connection:
        commit = watch.last_commit(connection)
        size, tables = watch.sizes(connection)
        partitions = watch.partitioned(connection)
    found = [
        single("telemetry_database_size_bytes", "Size of the database.", size),
        keyed("telemetry_table_size_bytes", "Size of a table with its indexes and partitions.", "table", tables),
        single("telemetry_partitions", "Partitions of the samples.", partitions.number),
    ]
    if settings.database_capacity_bytes:
        text = "Bytes the database may take, as the settings say."
        found.append(single("telemetry_database_capacity_bytes", text, settings.database_capacity_bytes))
    if commit is not None:
        text = "When a batch was committed last, on the database's clock."
        found.append(single("telemetry_last_commit_timestamp_seconds", text, commit.timestamp()))
    if partitions.last_end is not None:
        text = "End of the last partition of the samples: readings after it have no place yet."
        found.append(single("telemetry_partitions_end_timestamp_seconds", text, partitions.last_end.timestamp()))
    return found


class Audit:
    """The looks that read the whole ledger; they remember the gaps they have said."""

    def __init__(self, engine: Engine, settings: Settings, client: redis.Redis) -> None:
        self._engine = engine
        self._settings = settings
        self._client = client
        self._committed: Sequence[Committed] = ()
        self._said: dict[tuple[str, str, int | None, int], Gap] = {}

    def __call__(self) -> Sequence[Metric]:
        """What costs something to ask. Raises SQLAlchemyError."""
        # Before the ledger: what is committed while this looks must not seem to be missing there.
        with suppress(redis.RedisError):
            self._committed = committed(self._client, self._settings)
        with self._engine.connect() as connection:
            edges = watch.totals(connection, MAX_EDGES)
            waiting = watch.waiting(connection)
            found = gaps(connection, self._settings.gap_alert_s, self._committed)
        self._say(found)
        rows = (((*_edge(each.edge), name), float(getattr(each, name) or 0)) for each in edges for name in ROW_CLASSES)
        batches = (
            ((*_edge(each.edge), status), float(getattr(each, f"{status}_batches")))
            for each in edges
            for status in ("stored", "dead")
        )
        return [
            gauge("telemetry_ledger_rows", "Rows of all batches in the ledger, by class.", (*EDGE, "row_class"), rows),
            gauge("telemetry_ledger_batches", "Batches in the ledger.", (*EDGE, "status"), batches),
            *_gaps(found, [each.edge for each in edges]),
            single("telemetry_quarantined_rows", "Rows in quarantine.", waiting.quarantined),
            single("telemetry_dead_letters", "Messages that could not be stored and wait for a person.", waiting.dead_letters),
        ]

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
