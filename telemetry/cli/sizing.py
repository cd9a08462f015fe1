"""How much of everything a fleet needs, from figures that were measured. Pure; `plan` prints it.

Where the figures are from is said in docs/DEPLOYMENT_STRATEGY.md (Sizing), docs/PERFORMANCE.md (Where the time goes),
docs/STORE.md and docs/SCALING.md (How much is needed). They are of machines of 2 shared cores, a Xeon and an EPYC.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

DAY_S, YEAR_DAYS = 86_400, 365
GB, GIB = 1e9, 2.0**30
# Settings as they come: TELEMETRY_STREAM_INTERVAL_S, TELEMETRY_BATCH_SIZE.
TICK_S, BATCH_ROWS = 1.0, 100
# CPU time in seconds: of the broker for an edge's tick, for what its worker says each second beside that, and for a message; of
# a collector for a message, of Postgres for a row.
BROKER_TICK_S, BROKER_EDGE_S, BROKER_MESSAGE_S, COLLECTOR_MESSAGE_S, POSTGRES_ROW_S = 130e-6, 20e-6, 40e-6, 520e-6, 7.5e-6
# A broker works with one core. So much of it is planned, and of those of collectors and Postgres: a backlog comes one day.
BROKER_SHARE, CENTRE_SHARE = 0.6, 0.5
CONNECTIONS, CONNECTION_BYTES = 7, 20_000
# Of each edge while the centre is away: the window of one source, doubled for acknowledgements and fragments.
QUEUED_BYTES = 2 * 164 * 5_100
ROW_BYTES, SEALED_BYTES = 95, 1.7
SERIES_BYTES, SERIES_OF_EDGE = 10_000, 200
COLLECTOR_BYTES, COLLECTOR_PROCESSES = 0.7 * GIB, 2
# One that is renewed must not stop the flow.
MIN_COLLECTORS = 2


@dataclass(frozen=True, slots=True)
class Fleet:
    """What is to be carried: edges, rows a second of all of them, days that are kept, and days until one is sealed.

    `tick_s` is TELEMETRY_STREAM_INTERVAL_S.
    """

    edges: int
    rows_per_s: float
    retention_days: int
    seal_after_days: int | None = None
    series: int | None = None
    tick_s: float = TICK_S


@dataclass(frozen=True, slots=True)
class Plan:
    """What that needs."""

    brokers: int
    collectors: int
    broker_cpus: float
    collector_cpus: float
    postgres_cpus: float
    broker_gib: float
    collector_gib: float
    postgres_gib: float
    connections: int
    messages_per_s: float
    disk_gb: float
    gb_a_year: float


def plan(fleet: Fleet) -> Plan:
    """What a fleet needs. `broker_gib` and `connections` are of each broker, the other figures of all together."""
    of_edge = fleet.rows_per_s / fleet.edges
    # An edge publishes at most once a tick what came, in batches.
    messages = fleet.edges * max(min(of_edge, 1 / fleet.tick_s), of_edge / BATCH_ROWS)
    broker_s = fleet.edges * (BROKER_TICK_S / fleet.tick_s + BROKER_EDGE_S) + messages * BROKER_MESSAGE_S
    brokers = max(1, ceil(broker_s / BROKER_SHARE))
    collector_cpus = messages * COLLECTOR_MESSAGE_S / CENTRE_SHARE
    collectors = max(MIN_COLLECTORS, brokers, ceil(collector_cpus / COLLECTOR_PROCESSES))
    series = fleet.series or fleet.edges * SERIES_OF_EDGE
    return Plan(
        brokers=brokers,
        collectors=collectors,
        broker_cpus=broker_s / BROKER_SHARE,
        collector_cpus=collector_cpus,
        postgres_cpus=fleet.rows_per_s * POSTGRES_ROW_S / CENTRE_SHARE,
        broker_gib=fleet.edges / brokers * (QUEUED_BYTES + CONNECTIONS * CONNECTION_BYTES) / GIB,
        collector_gib=collectors * COLLECTOR_BYTES / GIB,
        # The pages of the index that are written all the time are a quarter of the machine's memory.
        postgres_gib=max(1.0, 4 * series * SERIES_BYTES / GIB),
        connections=ceil(fleet.edges / brokers) * CONNECTIONS,
        messages_per_s=messages,
        disk_gb=_stored_bytes(fleet, fleet.retention_days, is_full=True) / GB,
        gb_a_year=_stored_bytes(fleet, YEAR_DAYS, is_full=False) / GB,
    )


def _stored_bytes(fleet: Fleet, days: int, *, is_full: bool) -> float:
    """Bytes of the samples of some days; `is_full`: with the room that WAL and vacuum take, which is that of another day."""
    of_day = fleet.rows_per_s * DAY_S
    as_rows = days if fleet.seal_after_days is None else min(days, fleet.seal_after_days)
    spare_days = 1 if is_full else 0
    return of_day * (ROW_BYTES * (as_rows + spare_days) + SEALED_BYTES * (days - as_rows))
