"""What a real edge costs its node: beat and streamer at the default settings, following a file of the node's 100 rows a second.

`uss` is memory that no other process shares, of both; CPU is user and system time, of both.
"""

from __future__ import annotations

import subprocess
import time

from benchmarks import data, processes
from benchmarks.bench import Bench
from benchmarks.feeder import Feeder, Growing

ROWS_PER_S = 100
SETTLE_S = 5
MIB = 1 << 20


def run(bench: Bench) -> dict[str, float]:
    """Under load, then with a file that no longer grows."""
    seconds = bench.sizes.edge_s
    source = bench.file("edge", (seconds + 60) * ROWS_PER_S, **data.NODE)
    with bench.site() as site, Growing(source, site.directory / "grown.csv") as file:
        site.start_collector()
        site.ingest(bench.warm_up, "warm-up", ROWS_PER_S)
        pair = site.start_edge(file.path, "node")
        with Feeder(file, ROWS_PER_S):
            site.wait(lambda: site.flow("bench/node").rows > 0, "the first rows")
            time.sleep(min(SETTLE_S, seconds))
            streaming = _busy(pair, seconds)
            uss = sum(each.memory_full_info().uss for process in pair for each in processes.family(process.pid))
        site.wait(lambda: site.flow("bench/node").rows == file.rows, "all rows committed")
        idle = _busy(pair, seconds / 3)
    return {
        "beat_cpu_percent": streaming[0],
        "streamer_cpu_percent": streaming[1],
        "cpu_percent": sum(streaming),
        "idle_cpu_percent": sum(idle),
        "uss_mib": uss / MIB,
    }


def _busy(pair: tuple[subprocess.Popen[bytes], ...], seconds: float) -> list[float]:
    """Percent of a core that each process used in some seconds."""
    before, begun = [processes.cpu_s(process.pid) for process in pair], time.monotonic()
    time.sleep(seconds)
    taken_s = time.monotonic() - begun
    return [100 * (processes.cpu_s(process.pid) - was) / taken_s for process, was in zip(pair, before, strict=True)]
