"""A file of 2 GB by `telemetry ingest`, with and without processes that read beside the one that publishes.

Each message is acknowledged as soon as it is in the queue, and nothing is stored: the cores are free for those who read.
"""

from __future__ import annotations

import json
import time

from benchmarks import data
from benchmarks.bench import Bench, BenchError, Site
from telemetry.cli.ingest import BATCH_SIZE
from telemetry.progress import reading
from telemetry.progress.acks import Ack, Acks
from telemetry.progress.keys import Keys
from telemetry.readings.names import ROWS_HEADER

PROCESSES = 2
MB = 1_000_000
TAKEN, EVERY_S = 20, 0.02


def run(bench: Bench) -> dict[str, float]:
    """Rows a second of each, by the time that the command says it took."""
    file = bench.file("shared", bench.sizes.large_file_rows, hour=0)
    rates = {}
    for name, count in (("alone_rows_per_s", 0), ("rows_per_s", PROCESSES)):
        with bench.site() as site:
            rates[name] = file.rows / _published_s(site, file, count)
    return {"file_mb": file.path.stat().st_size / MB, **rates}


def _published_s(site: Site, file: data.File, processes: int) -> float:
    process = site.start_ingest(file, "node", BATCH_SIZE, "--no-wait", "--json", "--processes", str(processes))
    with site.client() as client:
        keys, rows, source_id = Keys(site.settings.key_prefix), 0, ""
        acks = Acks(client, keys, 60)
        while True:
            has_ended = process.poll() is not None
            messages = client.lpop(site.settings.ingest_queue, TAKEN) or []
            assert isinstance(messages, list), "so many were asked for"  # noqa: S101
            if has_ended and not messages:
                break
            headers = [json.loads(message)["headers"] for message in messages]
            rows += sum(header[ROWS_HEADER] for header in headers)
            (source_id,) = [source_id] if source_id else reading.sources(client, keys, "ingest/node") or [""]
            acks.send(Ack("ingest/node", source_id, header["id"], "stored") for header in headers)
            if not messages:
                time.sleep(EVERY_S)
    site.end(process)
    if rows != file.rows:
        raise BenchError(f"{rows} rows were published, not {file.rows}")
    return float(json.loads(site.log("telemetry"))["seconds"])
