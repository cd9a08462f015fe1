"""The trail of a batch, from the file to the commit: each station is counted and said in one log line, here.

Callers make one call at each station, after what it tells has happened. A process without a metrics port counts for
itself alone.
The lines carry `edge` and `batch`, so that one search finds all of a batch's; see `logs`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from telemetry.monitoring import logs
from telemetry.monitoring.counters import definitions, shared, transactions
from telemetry.monitoring.counters.latency import Ring

log = logging.getLogger("telemetry.trail")


@cache
def ring() -> Ring:
    """The latencies of this process and of those it forked."""
    return Ring(shared.directory())


def read(rows: int) -> None:
    """A streamer has cut so many rows into a batch that is to be published."""
    definitions.of(definitions.Streamer).read.inc(rows)


def published(header: Mapping[str, Any], publication: str) -> None:
    """The queue has taken a batch. `publication` is one of PUBLICATIONS; one that was refused has not been `first` yet."""
    rows = header["rows"]["read"]
    counted = definitions.of(definitions.Streamer)
    counted.batches.labels(publication).inc()
    if publication == "first":
        counted.rows.inc(rows)
        counted.bytes.inc(header["end"] - header["start"])
    elif publication == "again":
        counted.rows_again.inc(rows)
    if log.isEnabledFor(logging.INFO):
        with logs.about(edge=header["edge"], batch=header["batch_id"]):
            log.info(
                "published %s: %s [%d, %d), %d rows",
                publication,
                header["source"]["path"],
                header["start"],
                header["end"],
                rows,
            )


def committed(edge: str, settlement: str, rows: Mapping[str, int], *, cluster: str) -> None:
    """A collector of a cluster has committed a batch, `stored` or `dead`, of these rows by class; it is acknowledged later."""
    counted = definitions.of(definitions.Collector)
    way = counted.way(definitions.cluster_of(edge), cluster)
    way.batches[settlement].inc()
    for row_class, number in rows.items():
        if number:
            way.rows[row_class].inc(number)
    counted.batch_rows.observe(sum(rows.values()))


def acknowledged(
    header: Mapping[str, Any], settlement: str, rows: Mapping[str, int], *, cluster: str, acknowledged_us: int
) -> None:
    """A collector of a cluster has acknowledged a batch; what it committed was counted at the commit.

    `settlement` is one of SETTLEMENTS, `rows` counts them by class (nothing of a batch known before), `acknowledged_us` is
    the broker's clock at the acknowledgement. Only batches stored now tell of the latency: others came again.
    """
    source = definitions.cluster_of(header["edge"])
    way = definitions.of(definitions.Collector).way(source, cluster)
    latency_s = max(0.0, (acknowledged_us - header["published_at"]) / 1_000_000)
    if settlement in {"known", "probe"}:
        way.batches[settlement].inc()
    if settlement == "known":
        way.doubled.inc(header["rows"]["read"])
    if settlement == "stored":
        way.latency.observe(latency_s)
        ring().add(source, latency_s)
    if log.isEnabledFor(logging.INFO):
        told = ", ".join(f"{number} {row_class}" for row_class, number in rows.items() if number)
        with logs.about(edge=header["edge"], batch=header["batch_id"]):
            log.info("%s: %s, %.1f ms after its publication", settlement, told or "no rows", 1000 * latency_s)


@contextmanager
def about(headers: Iterable[Any]) -> Iterator[None]:
    """What is logged inside is about the batches of some headers, whatever those turn out to be."""
    known = [header for header in headers if isinstance(header, Mapping)]
    edges, batches = (
        sorted({told for each in known if isinstance(told := each.get(name), str)}) for name in ("edge", "batch_id")
    )
    with logs.about(edge=" ".join(edges), batch=" ".join(batches)):
        yield


def stored(batches: int, seconds: float) -> None:
    """A transaction that stores so many batches was committed."""
    transactions.last().ended(failed=False)
    counted = definitions.of(definitions.Collector)
    counted.transaction.observe(seconds)
    counted.transaction_batches.observe(batches)


def partition_refused() -> None:
    """The database would not make a partition."""
    definitions.of(definitions.Collector).partition_failures.inc()


def setback(*, of_database: bool) -> None:
    """A collector's surroundings failed, the database or others, and it will try again."""
    if of_database:
        transactions.last().ended(failed=True)
    definitions.of(definitions.Collector).setbacks.inc()
