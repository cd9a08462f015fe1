"""Growth: the same ingest with 0, 1, 10 and 100 times its rows stored already, of the same series in the same partition."""

from __future__ import annotations

import statistics

from benchmarks.bench import Bench, Site
from benchmarks.data import DAY_US

TIMES = (0, 1, 10, 100)
BATCH_SIZE = 5_000
# A file's rows fall into this part of an hour; the history lies in the hours before all files.
APART_H = 0.2
HISTORY_S = 5 * 3600
# By time, as rows arrive, so that the index looks as it does after a day.
FILL = """
    INSERT INTO samples (series_id, ts, value)
    SELECT s.id, to_timestamp(%(day)s + %(every)s * step), step %% 100
    FROM generate_series(%(begin)s::int, %(end)s::int - 1) AS step, (SELECT id FROM series ORDER BY id LIMIT %(series)s) AS s
"""


def run(bench: Bench) -> dict[str, float]:
    """The median rate of a few files at each stage; the history grows between them."""
    rows, files = bench.sizes.history_rows, bench.sizes.history_files
    figures: dict[str, float] = {"rows": rows}
    with bench.site() as site:
        site.start_collector()
        site.ingest(bench.warm_up, "warm-up", 100)
        stored = 0
        for stage, times in enumerate(TIMES):
            stored = _fill(site, stored, times * rows, TIMES[-1] * rows)
            rates = []
            for number in range(stage * files, (stage + 1) * files):
                file = bench.file(f"history-{number}", rows, hour=6 + number * APART_H)
                rates.append(site.committed(site.ingest(file, f"node-{number}", BATCH_SIZE), rows).rows_per_s)
            figures[f"rows_per_s_at_{times}x"] = statistics.median(rates)
    return figures


def _fill(site: Site, stored: int, wanted: int, most: int) -> int:
    """Add history up to so many rows; how many there are now."""
    if wanted <= stored:
        return stored
    with site.database() as connection:
        series = min(wanted, int((connection.execute("SELECT count(*) FROM series").fetchone() or (0,))[0]))
        begin, end = -(-stored // series), -(-wanted // series)
        every = HISTORY_S / (most // series + 1)
        connection.execute(FILL, {"day": DAY_US / 1e6, "every": every, "begin": begin, "end": end, "series": series})
        connection.execute("VACUUM ANALYZE samples")
        connection.execute("CHECKPOINT")
        return end * series
