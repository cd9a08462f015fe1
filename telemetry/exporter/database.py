"""What the database knows: the ledger, dead letters, quarantine, sizes, partitions, retention; how its replica follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import isfinite

from prometheus_client.metrics_core import Metric
from sqlalchemy import Engine

from telemetry.exporter.broker import MAX_EDGES
from telemetry.exporter.families import EDGE, by_edge, edge_labels, gauge, keyed, single
from telemetry.monitoring.counters.definitions import ROW_CLASSES
from telemetry.settings import Settings
from telemetry.store.follower import Follower
from telemetry.store.read import exporter
from telemetry.store.read.retention import Retained, retained
from telemetry.store.read.same_names import same_names


def look(engine: Engine, settings: Settings) -> Sequence[Metric]:
    """Metrics that are cheap to ask for. Raises SQLAlchemyError."""
    with engine.connect() as connection:
        commit_age_s = exporter.commit_age_s(connection)
        dead_letters = exporter.dead_letters(connection)
        size, tables = exporter.sizes(connection)
        partitions = exporter.partitioned(connection)
        names = Counter(same.edge for same in same_names(connection))
        edges = exporter.edges(connection, MAX_EDGES)
        levels = retained(connection)
    metrics = [
        single("telemetry_database_size_bytes", "Size of the database.", size),
        keyed("telemetry_table_size_bytes", "Size of a table with its indexes and partitions.", "table", tables),
        single("telemetry_partitions", "Partitions of the samples.", partitions.number),
        single("telemetry_dead_letters", "Messages that could not be stored and wait for a person.", dead_letters),
    ]
    text = "GPUs without a UUID whose host and index another edge of the cluster tells of, too, in the last two days."
    metrics.append(by_edge("telemetry_edge_same_gpu_names", text, {edge: float(names[edge]) for edge in edges}))
    metrics += _retention(levels, settings)
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


def _retention(levels: Sequence[Retained], settings: Settings) -> Iterator[Metric]:
    """What was dropped of each level, since when it is kept, and when the chore of one that is on came to its end."""
    dropped = {level.level: float(level.dropped) for level in levels}
    yield keyed("telemetry_retention_dropped_rows", "Samples, or rows, that retention has dropped.", "level", dropped)
    partitions = float(sum(level.partitions for level in levels))
    yield single("telemetry_retention_dropped_partitions", "Partitions that retention has dropped.", partitions)
    floors = {level.level: level.kept_since.timestamp() for level in levels if level.kept_since}
    text = "Time since which a level is kept: what is older is dropped."
    yield keyed("telemetry_retention_floor_timestamp_seconds", text, "level", floors)
    # Before its chore has ever come to its end, only the settings know that it is on.
    days = {
        "samples": settings.retention_days,
        "quarantine": settings.retention_quarantine_days,
        "events": settings.retention_events_days,
    }
    on = (level for level in levels if level.days or days.get(level.level))
    done = {level.level: level.done_at.timestamp() if level.done_at else 0.0 for level in on}
    text = "When retention of a level, where it is on, had last nothing left to drop; 0 for never."
    yield keyed("telemetry_retention_done_timestamp_seconds", text, "level", done)


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


def replica(follower: Follower) -> Sequence[Metric]:
    """How the replica follows that is read from."""
    lag_s, text = follower.lag_s, "1 while reads go to the replica; 0 while it lags or is away, and they go to the primary."
    metrics = [single("telemetry_replica_is_read", text, float(follower.is_read))]
    if isfinite(lag_s):
        metrics.append(single("telemetry_replica_lag_seconds", "By how much the replica lags behind the primary.", lag_s))
    return metrics
