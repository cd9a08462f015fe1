"""What the database knows: the ledger's totals and gaps, dead letters, rows in quarantine, sizes, partitions.

Each gap is logged twice: as a warning when it is found, and again when it has closed.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

import redis
from prometheus_client.metrics_core import Metric
from sqlalchemy import Engine

from telemetry.exporter.broker import MAX_EDGES
from telemetry.exporter.families import EDGE, by_edge, edge_labels, gauge, keyed, single
from telemetry.monitoring import logs
from telemetry.monitoring.counters.definitions import ROW_CLASSES
from telemetry.progress import losses, reading
from telemetry.progress.keys import Keys
from telemetry.readings.reported import Committed, Lost
from telemetry.settings import Settings
from telemetry.store.read import exporter
from telemetry.store.read.gaps import Gap, gaps
from telemetry.store.read.same_names import same_names

log = logging.getLogger(__name__)


def look(engine: Engine, settings: Settings) -> Sequence[Metric]:
    """Metrics that are cheap to ask for. Raises SQLAlchemyError."""
    with engine.connect() as connection:
        commit_age_s = exporter.commit_age_s(connection)
        dead_letters = exporter.dead_letters(connection)
        size, tables = exporter.sizes(connection)
        partitions = exporter.partitioned(connection)
        names = Counter(same.edge for same in same_names(connection))
        edges = exporter.edges(connection, MAX_EDGES)
    metrics = [
        single("telemetry_database_size_bytes", "Size of the database.", size),
        keyed("telemetry_table_size_bytes", "Size of a table with its indexes and partitions.", "table", tables),
        single("telemetry_partitions", "Partitions of the samples.", partitions.number),
        single("telemetry_dead_letters", "Messages that could not be stored and wait for a person.", dead_letters),
    ]
    text = "GPUs without a UUID whose host and index another edge of the cluster tells of, too, in the last two days."
    metrics.append(by_edge("telemetry_edge_same_gpu_names", text, {edge: float(names[edge]) for edge in edges}))
    if settings.database_capacity_bytes:
        text = "Bytes the database may take, as the settings say."
        metrics.append(single("telemetry_database_capacity_bytes", text, settings.database_capacity_bytes))
    if commit_age_s is not None:
        text = "Seconds since a batch was committed last, on the database's clock."
        metrics.append(single("telemetry_last_commit_age_seconds", text, commit_age_s))
    if partitions.left_s is not None:
        text = "Seconds until the last partition of the samples ends, on the database's clock; negative once it has."
        metrics.append(single("telemetry_partitions_left_seconds", text, partitions.left_s))
    return metrics


def ledger(engine: Engine) -> Sequence[Metric]:
    """Metrics of the totals of the whole ledger. Raises SQLAlchemyError."""
    with engine.connect() as connection:
        totals = exporter.totals(connection, MAX_EDGES)
        quarantined = exporter.quarantined(connection)
    rows = (((*edge_labels(total.edge), name), float(getattr(total, name) or 0)) for total in totals for name in ROW_CLASSES)
    batches = (
        ((*edge_labels(total.edge), status), float(getattr(total, f"{status}_batches")))
        for total in totals
        for status in ("stored", "dead")
    )
    return [
        gauge("telemetry_ledger_rows", "Rows of all batches in the ledger, by class.", (*EDGE, "row_class"), rows),
        gauge("telemetry_ledger_batches", "Batches in the ledger.", (*EDGE, "status"), batches),
        single("telemetry_quarantined_rows", "Rows in quarantine.", quarantined),
    ]


class Audit:
    """Looks for gaps in the whole ledger, and remembers which of them it has logged."""

    def __init__(self, engine: Engine, settings: Settings, client: redis.Redis) -> None:
        self._engine = engine
        self._settings = settings
        self._client = client
        self._keys = Keys(settings.key_prefix)
        self._committed: Sequence[Committed] = ()
        self._lost: Sequence[Lost] = ()
        self._logged: dict[tuple[str, str, int | None, int], Gap] = {}

    def __call__(self) -> Sequence[Metric]:
        """Metrics of the gaps that there are now. Raises SQLAlchemyError."""
        # Asked before the ledger, so that a batch committed in between does not seem to be missing there.
        with suppress(redis.RedisError):
            states = reading.sources_by_edge(self._client, self._keys, MAX_EDGES)
            self._committed = reading.committed(states)
            self._lost = losses.given_up(losses.of_all_edges(self._client, self._keys, MAX_EDGES))
        with self._engine.connect() as connection:
            all_gaps = gaps(connection, self._settings.gap_alert_s, self._committed, self._lost)
            edges = exporter.edges(connection, MAX_EDGES)
        old_gaps = [gap for gap in all_gaps if gap.is_old]
        self._log(old_gaps)
        return [*_gaps(old_gaps, edges)]

    def _log(self, open_gaps: Sequence[Gap]) -> None:
        now = {(gap.edge, gap.path, gap.anchor, gap.start): gap for gap in open_gaps}
        for key, gap in now.items():
            if key not in self._logged:
                with logs.about(edge=gap.edge):
                    log.warning("gap: bytes %d to %d of %s are missing since %s", gap.start, gap.end, gap.path, gap.since)
        for key, gap in self._logged.items():
            if key not in now:
                with logs.about(edge=gap.edge):
                    log.info("gap closed: bytes %d to %d of %s", gap.start, gap.end, gap.path)
        self._logged = now


def _gaps(open_gaps: Iterable[Gap], edges: Iterable[str]) -> Iterator[Metric]:
    numbers, sizes_bytes = Counter(dict.fromkeys(edges, 0)), Counter(dict.fromkeys(edges, 0))
    for gap in open_gaps:
        numbers[gap.edge] += 1
        sizes_bytes[gap.edge] += gap.end - gap.start
    text = "Stretches of bytes that the ledger has passed without having them, for longer than is healthy."
    yield by_edge("telemetry_ledger_gaps", text, numbers)
    yield by_edge("telemetry_ledger_gap_bytes", "Bytes in those stretches.", sizes_bytes)
