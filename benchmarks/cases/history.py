"""Growth: the same ingest with 1, 10 and 100 times its rows stored already, and beside each with nothing stored.

Two databases are visited in turn, each with a collector that is up. One holds the history, of the same series in the same
partition; the other is emptied before each visit. A stage's ratio is that of the medians of its visits.
"""

from __future__ import annotations

import statistics
from contextlib import ExitStack

from benchmarks.bench import Bench, Site
from benchmarks.data import DAY_US

TIMES = (1, 10, 100)
BATCH_SIZE = 5_000
# A file's rows fall into this part of an hour; the history lies in the hours before all files.
APART_H = 0.45
HISTORY_S = 5 * 3600
# By time, as rows arrive, so that the index looks as it does after a day.
FILL = """
    INSERT INTO samples (series_id, ts, value)
    SELECT s.id, to_timestamp(%(day)s + %(every)s * step), step %% 100
    FROM generate_series(%(begin)s::int, %(end)s::int - 1) AS step, (SELECT id FROM series ORDER BY id LIMIT %(series)s) AS s
"""


def run(bench: Bench) -> dict[str, float]:
    """The rates at each stage; the history grows between them."""
    rows, visits = bench.sizes.history_rows, bench.sizes.history_files
    figures: dict[str, float] = {"rows": rows}
    with ExitStack() as stack:
        empty, full = (stack.enter_context(bench.site(TELEMETRY_KEY_PREFIX=name)) for name in ("empty", "full"))
        for site in (empty, full):
            site.start_collector()
            site.ingest(bench.warm_up, "warm-up", 100)
        stored = 0
        for stage, times in enumerate(TIMES):
            stored = _fill(full, stored, times * rows, TIMES[-1] * rows)
            rates: dict[str, list[float]] = {"empty": [], "full": []}
            for number in range(stage * visits, (stage + 1) * visits):
                file = bench.file(f"history-{number}", rows, hour=6 + number * APART_H)
                # Who comes first finds the other's leavings in the caches: they take turns.
                for site in (empty, full)[:: 1 if number % 2 else -1]:
                    if site is empty:
                        _empty(site)
                    flow = site.committed(site.ingest(file, f"node-{number}", BATCH_SIZE), rows)
                    rates[site.settings.key_prefix].append(flow.rows_per_s)
            none, some = (statistics.median(rates[name]) for name in ("empty", "full"))
            figures |= {f"rows_per_s_at_{times}x": some, f"rows_per_s_beside_{times}x": none, f"ratio_at_{times}x": some / none}
    return figures


def _empty(site: Site) -> None:
    """Remove all samples."""
    with site.database() as connection:
        connection.execute("TRUNCATE samples")
        connection.execute("CHECKPOINT")


def _fill(site: Site, stored: int, target: int, most: int) -> int:
    """Add history up to so many rows; how many there are now."""
    with site.database() as connection:
        series = min(target, int((connection.execute("SELECT count(*) FROM series").fetchone() or (0,))[0]))
        begin, end = -(-stored // series), -(-target // series)
        every = HISTORY_S / (most // series + 1)
        connection.execute(FILL, {"day": DAY_US / 1e6, "every": every, "begin": begin, "end": end, "series": series})
        connection.execute("VACUUM ANALYZE samples")
        connection.execute("CHECKPOINT")
        return end * series
