"""What metrics cost: the same file end to end with and without a port that is scraped each second, in pairs.

100-row messages, where counting is dearest. The order alternates from pair to pair, so that what drifts meets both.
"""

from __future__ import annotations

import statistics
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from threading import Event, Thread

from benchmarks.bench import Bench, BenchError
from benchmarks.cases.end_to_end import SMALL
from telemetry.local.ports import HOST, free_port

PAIRS = 5
FIRST_PORT = 19_300
EVERY_S = 1.0
PATIENCE_S = 10.0


def run(bench: Bench) -> dict[str, float]:
    """`kept` is the median of the pairs' ratios."""
    pairs = []
    for n in range(PAIRS):
        order = (True, False) if n % 2 else (False, True)
        rates = {watched: _rows_per_s(bench, watched=watched) for watched in order}
        pairs.append((rates[True], rates[False]))
    watched, alone = zip(*pairs, strict=True)
    return {
        "rows_per_s_with": statistics.median(watched),
        "rows_per_s_without": statistics.median(alone),
        "kept": statistics.median(each / other for each, other in pairs),
        "least_kept": min(each / other for each, other in pairs),
    }


def _rows_per_s(bench: Bench, *, watched: bool) -> float:
    port = free_port(FIRST_PORT) if watched else 0
    with bench.site() as site:
        site.start_worker("telemetry", TELEMETRY_ROLE="central", TELEMETRY_METRICS_PORT=str(port))
        site.ingest(bench.warm_up, "warm-up", SMALL)
        with _scraped(port) if watched else nullcontext():
            edge = site.ingest(bench.small, "node", SMALL)
        return site.committed(edge, bench.small.rows).rows_per_s


@contextmanager
def _scraped(port: int) -> Iterator[None]:
    """Scrape a port as Prometheus would, only oftener. Raises BenchError if it showed nothing of what was stored."""
    over, pages = Event(), [_page(port)]

    def scrape() -> None:
        while not over.wait(EVERY_S):
            pages.append(_page(port))

    thread = Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if b"telemetry_rows_committed_total{" not in pages[-1]:
        raise BenchError("the collector counted nothing")


def _page(port: int) -> bytes:
    with urllib.request.urlopen(f"http://{HOST}:{port}/metrics", timeout=PATIENCE_S) as answer:
        page: bytes = answer.read()
        return page
