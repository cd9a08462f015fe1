"""Logs of nvidia-smi, whose records have many readings: end to end, and binary COPY of the same readings beside it.

`rows` are readings here, as in the other cases. `reading_rows_per_s` is what the edge's process alone reads of the file.
"""

from __future__ import annotations

import time

from benchmarks import data
from benchmarks.bench import Bench
from benchmarks.cases import copy_binary
from telemetry.readings.source_settings import SourceSettings
from telemetry.settings import Settings
from telemetry.streamer.batching import Cutter, Reader
from telemetry.streamer.source import SourceFile

LARGE, SMALL = 5_000, 100
SETTINGS = '[[source]]\npath = "*"\ntime_zone = "UTC"\nhost = "node"\n'
ROOM_BYTES = 1 << 30


def run(bench: Bench) -> dict[str, float]:
    """5,000-reading messages of a log of one node, beside COPY."""
    log, samples = data.write_log(bench.directory / "smi.csv", bench.sizes.rows, hour=6)
    warm_up, _ = data.write_log(bench.directory / "smi-warm-up.csv", 1_000, hour=5)
    said = bench.directory / "sources.toml"
    said.write_text(SETTINGS)
    once, each = copy_binary.rates(bench, samples)
    with bench.site(TELEMETRY_SOURCE_SETTINGS=str(said)) as site:
        site.start_collector()
        site.ingest(warm_up, "warm-up", SMALL)
        flow = site.committed(site.ingest(log, "node", LARGE), log.rows)
    return {
        "rows_per_s": flow.rows_per_s,
        "reading_rows_per_s": _reading(log),
        "copy_rows_per_s": once,
        "copy_committed_rows_per_s": each,
    }


def _reading(log: data.File) -> float:
    settings = Settings()
    source = SourceFile.open(log.path, max_record=settings.max_record_bytes, final=True, settings=SourceSettings("UTC", "node"))
    assert source is not None, "the log has records"  # noqa: S101
    begun = time.perf_counter()
    with source:
        cutter = Cutter(source, Reader.of(settings))
        batches = cutter.batches(source.head.first, limit=LARGE, room_bytes=ROOM_BYTES, now_us=time.time_ns() // 1000)
        rows = sum(batch.readings.rows for batch in batches)
    return rows / (time.perf_counter() - begun)
