"""After an outage of the centre: an edge has an hour of 1,000 rows a second to catch up, and its file goes on growing.

The edge runs at the default settings and was up to date when the collector ended. The hour's rows are written at once, as
nobody reads them before the window is full: there the edge stands when the collector is started, which is where the clock
starts. It stops when the ledger is no further behind the file than it was before the outage.
"""

from __future__ import annotations

import json
import time

from benchmarks.bench import Bench, Site
from benchmarks.feeder import Feeder, Growing
from telemetry.readings.names import ROWS_HEADER

ROWS_PER_S = 1_000
# Of about 2,000 series, so that a second of the file has a thousand rows.
INTERVAL_S = 2
LIVE_S = 8
SPARE_S = 180
EVERY_S = 0.2
NODE = "bench/outage"


def run(bench: Bench) -> dict[str, float]:
    """Seconds until the edge is up to date again, and how far the window was filled meanwhile."""
    hour = bench.sizes.outage_rows
    source = bench.file("outage", hour + (LIVE_S + SPARE_S) * ROWS_PER_S, interval_s=INTERVAL_S)
    with bench.site() as site, Growing(source, site.directory / "grown.csv") as file:
        centre = site.start_collector()
        site.ingest(bench.warm_up, "warm-up", 100)
        site.start_edge(file.path, "outage")
        with Feeder(file, ROWS_PER_S):
            site.wait(lambda: _lag(site, file) < ROWS_PER_S and file.rows > ROWS_PER_S, "the edge up to date")
            usual = max(_lags(site, file))
        site.stop(centre)
        file.write(hour)
        held = _stalled(site)
        with Feeder(file, ROWS_PER_S):
            begun, behind = time.monotonic(), _lag(site, file)
            site.start_collector()
            site.wait(lambda: _lag(site, file) <= usual, "the edge caught up", every_s=EVERY_S)
            seconds = time.monotonic() - begun
        site.wait(lambda: not _lag(site, file), "all rows committed")
        site.committed(NODE, file.rows)
    return {
        "seconds": seconds,
        "rows_behind": behind,
        "rows_per_s": behind / seconds,
        "lag_before_rows": usual,
        "window_rows": held,
    }


def _lag(site: Site, file: Growing) -> int:
    return file.rows - site.flow(NODE).rows


def _lags(site: Site, file: Growing) -> list[int]:
    """The lag as it goes up and down between ticks, for some seconds."""
    lags, until_s = [], time.monotonic() + LIVE_S / 2
    while time.monotonic() < until_s:
        lags.append(_lag(site, file))
        time.sleep(EVERY_S)
    return lags


def _stalled(site: Site) -> int:
    """Wait until the edge publishes no more; how many rows it has published that nobody has stored."""
    with site.client() as client:
        lengths = [-2, -1]

        def still() -> bool:
            lengths.append(int(client.llen(site.settings.ingest_queue)))
            return lengths[-1] == lengths[-2] == lengths[-3] > 0

        site.wait(still, "a full window", every_s=site.settings.stream_interval_s + EVERY_S)
        return sum(json.loads(message)["headers"][ROWS_HEADER] for message in client.lrange(site.settings.ingest_queue, 0, -1))
