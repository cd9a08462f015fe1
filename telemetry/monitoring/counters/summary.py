"""What a collector has settled in a stretch of time, counted over its main process and all children, and told in one line.

The thread that tells it is `telemetry.monitoring.port.summary`'s.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from telemetry.monitoring.counters import definitions, shared
from telemetry.monitoring.counters.merge_dead_children import MergedCounts

ROWS, BATCHES = "telemetry_rows_committed_total", "telemetry_batches_settled_total"


@dataclass(frozen=True, slots=True)
class Settled:
    """Numbers of rows by their class, and of batches by their settlement."""

    rows: Counter[str]
    batches: Counter[str]

    def since(self, before: Settled) -> Settled:
        """What came after an earlier count."""
        return Settled(self.rows - before.rows, self.batches - before.batches)


def settled() -> Settled:
    """All that this process and its children have counted so far."""
    directory = shared.directory()
    metrics = MergedCounts(CollectorRegistry(), directory).collect() if directory else definitions.registry.collect()
    numbers = Settled(Counter(), Counter())
    for metric in metrics:
        for sample in metric.samples:
            if sample.name == ROWS:
                numbers.rows[sample.labels["row_class"]] += int(sample.value)
            elif sample.name == BATCHES:
                numbers.batches[sample.labels["settlement"]] += int(sample.value)
    return numbers


def sentence(passed: Settled, seconds: float, median_s: float | None, waiting: int | None) -> str | None:
    """One line about `seconds` seconds, without what is not; None if nothing came and nothing waits.

    `median_s` is the median time from publication to commit, None if no batch was stored. `waiting` is the number of
    messages in the queue, None if the broker does not answer.
    """
    if not (passed.rows or passed.batches or waiting):
        return None
    rows = passed.rows
    parts = [f"{_counted(rows['stored'], 'row', 'rows')} stored in {seconds:.0f} s ({rows['stored'] / seconds:,.0f} rows/s)"]
    if median_s is not None:
        parts.append(f"{1000 * median_s:,.0f} ms after the edge sent them")
    if waiting is None:
        parts.append("the broker does not answer")
    elif waiting:
        parts.append(f"{_counted(waiting, 'batch', 'batches')} waiting")
    others = {"quarantined": "put in quarantine", "conflict": "in conflict", "expired": "expired", "dead": "dead"}
    parts += [f"{rows[name]:,} {words}" for name, words in others.items() if rows[name]]
    if passed.batches["known"]:
        parts.append(f"{_counted(passed.batches['known'], 'batch', 'batches')} came again")
    return ", ".join(parts)


def _counted(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"
