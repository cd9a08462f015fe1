"""Ours, end to end: `telemetry ingest` reads and publishes a file, one collector worker stores it, acks come back.

Timed from the first publish to the last commit, by the ledger: with everything on, and the rows counted at the end.
"""

from __future__ import annotations

from benchmarks import data
from benchmarks.bench import Bench

LARGE, SMALL = 5_000, 100


def large(bench: Bench) -> dict[str, float]:
    """5,000-row messages."""
    return _run(bench, bench.whole, LARGE)


def small(bench: Bench) -> dict[str, float]:
    """100-row messages."""
    return _run(bench, bench.small, SMALL)


def always(bench: Bench) -> dict[str, float]:
    """5,000-row messages, the broker's append-only file synced at each write."""
    return _run(bench, bench.whole, LARGE, {"appendfsync": "always"})


def _run(bench: Bench, file: data.File, batch_size: int, valkey: dict[str, str] | None = None) -> dict[str, float]:
    with bench.site(valkey) as site:
        site.start_collector()
        site.ingest(bench.warm_up, "warm-up", SMALL)
        flow = site.committed(site.ingest(file, "node", batch_size), file.rows)
        return {"rows_per_s": flow.rows_per_s, "rows_per_message": flow.rows / flow.batches}
