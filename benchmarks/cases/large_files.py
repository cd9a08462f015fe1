"""A file of 2 GB, as it is and packed by gzip: the most memory that a process has which reads it to the end.

`telemetry ingest` reads each alone. A streamer reads both, one window each. Beside them a collector stores what comes.
"""

from __future__ import annotations

import gzip
import shutil
import time
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks import data, processes
from benchmarks.bench import POLL_S, Bench, Site
from telemetry.progress import reading
from telemetry.progress.keys import Keys

LARGE = 5_000
MIB, MB = 1 << 20, 1_000_000
# Fast, as what packed it is not measured.
LEVEL = 1


def run(bench: Bench) -> dict[str, float]:
    """By `telemetry ingest`, then by a streamer."""
    folder = bench.directory / "large"
    folder.mkdir()
    plain = data.write(folder / "gpu.csv", bench.sizes.large_file_rows, hour=0)
    packed = data.File(_packed(plain.path), plain.rows)
    figures = {"file_mb": plain.path.stat().st_size / MB, "packed_mb": packed.path.stat().st_size / MB}
    for name, file in (("ingest", plain), ("ingest_packed", packed)):
        with bench.site() as site:
            site.start_collector()
            peak = Peak()
            process = site.start_ingest(file, "node", LARGE)
            while process.poll() is None:
                peak.look(process.pid)
                time.sleep(POLL_S)
            site.end(process)
            flow = site.committed("ingest/node", file.rows)
            figures |= {f"{name}_mib": peak.mib, f"{name}_rows_per_s": flow.rows_per_s}
    figures["streamer_mib"] = _streamed(bench, folder)
    shutil.rmtree(folder)
    return figures


def _streamed(bench: Bench, folder: Path) -> float:
    """The most memory of a streamer that reads all files of a folder."""
    peak, count = Peak(), len(list(folder.iterdir()))

    def is_read(site: Site, pid: int) -> bool:
        peak.look(pid)
        with site.client() as client:
            states = reading.sources(client, Keys(site.settings.key_prefix), "bench/node").values()
        return len(states) == count and all(state.all_committed for state in states)

    with bench.site(TELEMETRY_CLOSE_AFTER_S="1") as site:
        site.start_collector()
        _, streamer = site.start_edge(folder / "*", "node")
        site.wait(lambda: is_read(site, streamer.pid), "all files committed")
    return peak.mib


class Peak:
    """The most resident memory of a process: the largest of the processes that it consists of."""

    def __init__(self) -> None:
        self.mib = 0.0

    def look(self, pid: int) -> None:
        """Take note of what each had at most until now."""
        for each in processes.family(pid):
            with suppress(OSError, psutil.NoSuchProcess, StopIteration):
                lines = Path(f"/proc/{each.pid}/status").read_text(encoding="ascii").splitlines()
                most_kib = next(line for line in lines if line.startswith("VmHWM:")).split()[1]
                self.mib = max(self.mib, int(most_kib) * 1024 / MIB)


def _packed(path: Path) -> Path:
    packed = path.with_name(f"{path.name}.gz")
    with path.open("rb") as source, gzip.open(packed, "wb", compresslevel=LEVEL) as target:
        shutil.copyfileobj(source, target, MIB)
    return packed
