"""100-row messages a second from a full queue: by our collector, and by a worker that does nothing with the same bytes.

`telemetry ingest --no-wait` fills the queue, copies of it are kept, and each worker in turn empties one; who is first changes
from round to round. The one that does nothing gets each message several times, to be busy as long. The rate is taken over the
last nine tenths, when each worker is warm: ours by its commits, the other's by what the broker still holds.
"""

from __future__ import annotations

import time

import numpy as np
import redis

from benchmarks import data
from benchmarks.bench import Bench, BenchError, Site
from telemetry.progress.window import MAX_FLIGHTS

ROWS_A_MESSAGE = 100
# Messages may be a little smaller where a block of the file ends.
TOLERANCE = 2
WARM = 0.1
# How much faster nothing is done, about.
COPIES = 3
KEPT = "bench.kept"
COMMITS = "SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin)) FROM batches ORDER BY 1"
# The window is not to stop the publisher: nobody acknowledges yet.
WIDE = {"TELEMETRY_WINDOW_BYTES": str(1 << 30), "TELEMETRY_EDGE_BYTES": str(1 << 34)}
EVERY_S = 0.01


def run(bench: Bench) -> dict[str, float]:
    """Both, one after the other."""
    files = _files(bench)
    with bench.site() as site, site.client() as client:
        count, size = fill(site, client, files)
        client.rename(site.settings.ingest_queue, KEPT)
        measured = (_noop, _ours)[:: -1 if len(bench.figures.get("messages", [])) % 2 else 1]
        rates = {measure: measure(site, client, count) for measure in measured}
        site.committed("ingest/node", sum(file.rows for file in files))
        return {
            "messages_per_s": rates[_ours],
            "noop_messages_per_s": rates[_noop],
            "message_bytes": size,
            "wire_bytes_per_reading": size / ROWS_A_MESSAGE,
        }


def _files(bench: Bench) -> list[data.File]:
    """As many files as it takes: the window of one holds only so many batches."""
    left = bench.sizes.messages
    files: list[data.File] = []
    while left > 0:
        some = min(left, MAX_FLIGHTS - 100)
        files.append(bench.file(f"messages-{len(files)}", some * ROWS_A_MESSAGE, hour=6 + len(files)))
        left -= some
    return files


def _ours(site: Site, client: redis.Redis, count: int) -> float:
    client.copy(KEPT, site.settings.ingest_queue)
    collector = site.start_collector()
    site.wait(lambda: _committed(site) >= count, "all messages committed")
    site.stop(collector)
    return _rate(_commits(site))


def _noop(site: Site, client: redis.Redis, count: int) -> float:
    queue = site.settings.ingest_queue
    kept = client.lrange(KEPT, 0, -1)
    for _ in range(COPIES):
        client.rpush(queue, *kept)
    nothing = site.start_worker("benchmarks.peers.noop", BENCH_QUEUE=queue)
    rate = _emptied(site, client, queue, count * COPIES)
    site.stop(nothing)
    return rate


def fill(site: Site, client: redis.Redis, files: list[data.File]) -> tuple[int, float]:
    """Put files on the queue in 100-row messages, before anyone takes them; how many, and their mean size on the queue."""
    for file in files:
        site.ingest(file, "node", ROWS_A_MESSAGE, "--no-wait", **WIDE)
    rows = sum(file.rows for file in files)
    queue = site.settings.ingest_queue
    count = int(client.llen(queue))
    if not count or abs(rows / count - ROWS_A_MESSAGE) > TOLERANCE:
        raise BenchError(f"{rows} rows are {count} messages on the queue, not {ROWS_A_MESSAGE} rows each")
    return count, float(np.mean([len(message) for message in client.lrange(queue, 0, 99)]))


def _emptied(site: Site, client: redis.Redis, queue: str, count: int) -> float:
    """Messages a second, by watching what the broker holds."""
    warm = 0.0

    def left() -> int:
        nonlocal warm
        number = int(client.llen(queue)) + int(client.hlen("unacked"))
        if not warm and number <= count * (1 - WARM):
            warm = time.perf_counter()
        return number

    site.wait(lambda: not left(), "the queue emptied", every_s=EVERY_S)
    return count * (1 - WARM) / (time.perf_counter() - warm)


def _committed(site: Site) -> int:
    with site.database() as connection:
        return int((connection.execute("SELECT count(*) FROM batches").fetchone() or (0,))[0])


def _commits(site: Site) -> list[float]:
    with site.database() as connection:
        return [float(row[0]) for row in connection.execute(COMMITS)]


def _rate(commits: list[float]) -> float:
    """Commits a second after the first tenth of them."""
    first = int(len(commits) * WARM)
    return (len(commits) - 1 - first) / (commits[-1] - commits[first])
