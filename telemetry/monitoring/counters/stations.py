"""The stations of a batch on its way from the file to the commit: each is counted and logged here.

Callers make one call at each station, after the event that it reports. Log lines carry `edge` and `batch`, so that one search
finds all lines of a batch; see `logs`. They are at DEBUG. A batch that is slow, came again, died or has rows in quarantine is
at INFO, the first of its kind at once and the next after NOTICE_S: after an outage every batch is slow. `summary` tells
the rest in one line. An edge without a metrics port counts in its own memory only.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from telemetry.monitoring import logs
from telemetry.monitoring.counters import definitions, shared, transactions
from telemetry.monitoring.counters.definitions import CollectorCounters, StreamerCounters
from telemetry.monitoring.counters.latency import Ring

# Operators filter by this name.
log = logging.getLogger("telemetry.trail")

# A batch that was stored later than this after its publication is slow.
SLOW_S = 1.0
# A process tells of one unusual batch of each kind in this time.
NOTICE_S = 10.0
# What a line says of a batch or of some of its rows, where the name that is counted does not say it to everybody.
WORDS = {"slow": "stored late", "known": "came again, and is stored already", "quarantined": "put in quarantine"}


@cache
def ring() -> Ring:
    """The latencies of this process and of those it forked."""
    return Ring(shared.directory())


class Notices:
    """When a process has last told of an unusual batch, by kind."""

    def __init__(self) -> None:
        self._told_s: dict[str, float] = {}

    def level(self, kind: str | None, now_s: float) -> int:
        """The level of a line about a batch. `kind` says what is unusual about it, None if nothing is."""
        if kind is None or now_s - self._told_s.get(kind, -NOTICE_S) < NOTICE_S:
            return logging.DEBUG
        self._told_s[kind] = now_s
        return logging.INFO


@cache
def notices() -> Notices:
    """Those of this process."""
    return Notices()


def read(rows: int) -> None:
    """A streamer has cut a batch of `rows` rows, which is to be published."""
    definitions.of(StreamerCounters).read.inc(rows)


def published(header: Mapping[str, Any], publication: str) -> None:
    """The queue has taken a batch. `publication` is one of PUBLICATIONS.

    A batch that the queue refused has not been published: it is `first` when the queue takes it.
    """
    rows = header["rows"]["read"]
    counters = definitions.of(StreamerCounters)
    counters.batches.labels(publication).inc()
    if publication == "first":
        counters.rows.inc(rows)
        counters.bytes.inc(header["end"] - header["start"])
    elif publication == "again":
        counters.rows_again.inc(rows)
    level = notices().level("again" if publication == "again" else None, time.monotonic())
    if log.isEnabledFor(level):
        with logs.about(edge=header["edge"], batch=header["batch_id"]):
            log.log(
                level,
                "published %s: %s [%d, %d), %d rows",
                publication,
                header["source"]["path"],
                header["start"],
                header["end"],
                rows,
            )


def committed(edge: str, settlement: str, rows: Mapping[str, int], *, cluster: str) -> None:
    """A collector of `cluster` has committed a batch of these rows by class. `settlement` is `stored` or `dead`."""
    counters = definitions.of(CollectorCounters)
    pair = counters.pair(definitions.cluster_of(edge), cluster)
    pair.batches[settlement].inc()
    for row_class, number in rows.items():
        if number:
            pair.rows[row_class].inc(number)
    counters.batch_rows.observe(sum(rows.values()))


def acknowledged(
    header: Mapping[str, Any], settlement: str, rows: Mapping[str, int], *, cluster: str, acknowledged_us: int
) -> None:
    """A collector of `cluster` has acknowledged a batch; `committed` has counted what was committed of it.

    `settlement` is one of SETTLEMENTS. `rows` are numbers by class, empty for a batch known before. `acknowledged_us` is the
    broker's clock at the acknowledgement. Only batches stored now count for the latency: others came again.
    """
    source = definitions.cluster_of(header["edge"])
    pair = definitions.of(CollectorCounters).pair(source, cluster)
    latency_s = max(0.0, (acknowledged_us - header["published_at"]) / 1_000_000)
    if settlement in {"known", "probe"}:
        pair.batches[settlement].inc()
    if settlement == "known":
        pair.doubled.inc(header["rows"]["read"])
    if settlement == "stored":
        pair.latency.observe(latency_s)
        ring().add(source, latency_s)
    unusual = _unusual(settlement, rows, latency_s)
    level = notices().level(unusual, time.monotonic())
    if log.isEnabledFor(level):
        # What became of most rows is said by the settlement already.
        classes = ", ".join(
            f"{number} {'rows' if row_class == settlement else WORDS.get(row_class, row_class)}"
            for row_class, number in rows.items()
            if number
        )
        head = WORDS.get("slow" if unusual == "slow" else settlement, settlement)
        with logs.about(edge=header["edge"], batch=header["batch_id"]):
            log.log(level, "%s: %s, %.1f ms after they were sent", head, classes or "no rows", 1000 * latency_s)


def _unusual(settlement: str, rows: Mapping[str, int], latency_s: float) -> str | None:
    """What a person should hear of at once, None if all is as it should be. A probe is never late: it asks about the queue."""
    if settlement in {"known", "dead"}:
        return settlement
    if rows.get("quarantined"):
        return "quarantined"
    return "slow" if settlement == "stored" and latency_s > SLOW_S else None


@contextmanager
def about(headers: Iterable[Any]) -> Iterator[None]:
    """What is logged inside is about the batches of these headers, which come from strangers and may be anything."""
    mappings = [header for header in headers if isinstance(header, Mapping)]
    edges, batches = (
        sorted({value for header in mappings if isinstance(value := header.get(name), str)}) for name in ("edge", "batch_id")
    )
    with logs.about(edge=" ".join(edges), batch=" ".join(batches)):
        yield


def stored(batches: int, seconds: float) -> None:
    """A transaction that stores `batches` batches was committed after `seconds` seconds."""
    transactions.last().ended(failed=False)
    counters = definitions.of(CollectorCounters)
    counters.transaction.observe(seconds)
    counters.transaction_batches.observe(batches)


def refused(edge: str, batch_id: str) -> None:
    """A batch came whose id is known with other readings."""
    definitions.of(CollectorCounters).refused.labels(definitions.cluster_of(edge)).inc()
    if notices().level("refused", time.monotonic()) == logging.INFO:
        with logs.about(edge=edge, batch=batch_id):
            log.warning("refused: this id is known with other readings, and these are not stored")


def distrusted(header: object, reason: str) -> None:
    """A message came that is not believed."""
    edge = header.get("edge") if isinstance(header, dict) else None
    definitions.of(CollectorCounters).distrusted.labels(definitions.cluster_of(edge)).inc()
    # A line for each kind of reason now and then: the first words are none that a stranger chooses.
    if notices().level(" ".join(reason.split()[:3]), time.monotonic()) == logging.INFO:
        log.warning("a message is not believed, and is dropped: %s", reason)


def beyond(edge: str, reason: str) -> None:
    """A message came beyond what its edge may send."""
    definitions.of(CollectorCounters).beyond.labels(definitions.cluster_of(edge)).inc()
    if notices().level("beyond", time.monotonic()) == logging.INFO:
        log.warning("a message is dropped: %s", reason)


def partition_refused() -> None:
    """The database refused to make a partition."""
    definitions.of(CollectorCounters).partition_failures.inc()


def setback(*, of_database: bool) -> None:
    """The database or the broker made a collector fail, and it will try again."""
    if of_database:
        transactions.last().ended(failed=True)
    definitions.of(CollectorCounters).setbacks.inc()
