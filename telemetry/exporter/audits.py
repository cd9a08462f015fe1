"""The audit, run as looks: bytes that are missing in the ledger, samples that are gone. What it finds it has healed, too.

Each gap is logged twice: as a warning when it is found, and again when it has closed. How it is done is `telemetry.audit`'s.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

import redis
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy import Engine

from telemetry.audit.healing import heal
from telemetry.audit.rereading import Rereading
from telemetry.audit.samples import SampleAudit
from telemetry.exporter.broker import MAX_EDGES
from telemetry.exporter.families import by_edge, single
from telemetry.monitoring import logs
from telemetry.progress import losses, reading
from telemetry.progress.everywhere import Everywhere
from telemetry.progress.keys import Keys
from telemetry.settings import Settings
from telemetry.store import shortfalls
from telemetry.store.read import counted, exporter
from telemetry.store.read.gaps import Gap, gaps
from telemetry.store.read.settled import now

log = logging.getLogger(__name__)

# Samples are counted for about so long at a time; a piece that takes longer is finished.
BUDGET_S = 0.3


class GapAudit:
    """Looks for gaps in the whole ledger, has those read again that can be, and remembers which of them it has logged."""

    def __init__(self, engine: Engine, settings: Settings, clients: Mapping[str, redis.Redis]) -> None:
        self._engine = engine
        self._settings = settings
        keys = Keys(settings.key_prefix)
        self._edges = Everywhere(clients, keys, MAX_EDGES)
        self._rereading = Rereading(self._edges.client_of, keys)
        self._logged: dict[tuple[str, str, int | None, int], Gap] = {}

    def __call__(self) -> Sequence[Metric]:
        """Metrics of the gaps that there are now. Raises SQLAlchemyError."""
        # Asked before the ledger, so that a batch committed in between does not seem to be missing there.
        with suppress(redis.RedisError):
            self._edges.look()
        states, lost = self._edges.states, losses.given_up(self._edges.lost)
        with self._engine.connect() as connection:
            all_gaps = gaps(connection, self._settings.gap_alert_s, reading.committed(states), lost)
            edges = exporter.edges(connection, MAX_EDGES)
            self._rereading.heal(connection, all_gaps, states)
        old_gaps = [gap for gap in all_gaps if gap.is_old]
        self._log(old_gaps)
        return [*_gaps(old_gaps, edges), _read_again("telemetry_gap_rereads_total", self._rereading)]

    def _log(self, open_gaps: Sequence[Gap]) -> None:
        present = {(gap.edge, gap.path, gap.anchor, gap.start): gap for gap in open_gaps}
        for key, gap in present.items():
            if key not in self._logged:
                with logs.about(edge=gap.edge):
                    log.warning("gap: bytes %d to %d of %s are missing since %s", gap.start, gap.end, gap.path, gap.since)
        for key, gap in self._logged.items():
            if key not in present:
                with logs.about(edge=gap.edge):
                    log.info("gap closed: bytes %d to %d of %s", gap.start, gap.end, gap.path)
        self._logged = present


class SampleAuditLook:
    """Counts samples, a piece at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._audit = SampleAudit(engine, BUDGET_S)

    def __call__(self) -> Sequence[Metric]:
        """How long ago everything was counted. Raises SQLAlchemyError."""
        self._audit.count()
        with self._engine.connect() as connection:
            age_s = counted.oldest_s(connection)
        text = "Seconds since the partition was counted that was not counted for the longest time."
        return [] if age_s is None else [single("telemetry_samples_counted_age_seconds", text, age_s)]


class ShortfallLook:
    """Has samples read again that are gone. While none is, this is a question to a small table."""

    def __init__(self, engine: Engine, settings: Settings, clients: Mapping[str, redis.Redis]) -> None:
        self._engine = engine
        keys = Keys(settings.key_prefix)
        self._edges = Everywhere(clients, keys, MAX_EDGES)
        self._rereading = Rereading(self._edges.client_of, keys)

    def __call__(self) -> Sequence[Metric]:
        """What is gone now. Raises SQLAlchemyError, and RedisError where no broker answers."""
        with self._engine.connect() as connection:
            left, at = shortfalls.unsettled(connection), now(connection)
        if left:
            self._edges.look()
            left = heal(self._engine, self._rereading, self._edges.states_now, at)
        text = "Samples that were stored and are gone, and have not come back from their files."
        return [
            single("telemetry_missing_samples", text, left.missing - left.restored if left else 0),
            _read_again("telemetry_sample_rereads_total", self._rereading),
        ]


def _read_again(name: str, rereading: Rereading) -> Metric:
    text = "Sources that edges were made to read again, as something of them was missing at the centre."
    return CounterMetricFamily(name, text, value=rereading.number)


def _gaps(open_gaps: Iterable[Gap], edges: Iterable[str]) -> Iterator[Metric]:
    numbers, sizes_bytes = Counter(dict.fromkeys(edges, 0)), Counter(dict.fromkeys(edges, 0))
    for gap in open_gaps:
        numbers[gap.edge] += 1
        sizes_bytes[gap.edge] += gap.end - gap.start
    text = "Stretches of bytes that the ledger has passed without having them, for longer than is healthy."
    yield by_edge("telemetry_ledger_gaps", text, numbers)
    yield by_edge("telemetry_ledger_gap_bytes", "Bytes in those stretches.", sizes_bytes)
