"""The API, beside the same rows by hand: a day of one metric, a large CSV, eight clients at once, and what exports hold.

All of it is asked of gunicorn as the Procfile starts it, over loopback. The peers are SQL over psycopg: what a person would
write who needs these rows and has the database's password.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.client import HTTPConnection
from socket import socket
from typing import Any
from urllib.parse import urlencode

import httpx
import numpy as np
import psycopg

from benchmarks.bench import Bench, BenchError, Site
from benchmarks.processes import family

GPU = "GPU-bench"
METRIC = "DCGM_FI_DEV_GPU_TEMP"
PATH = f"/api/v1/gpus/{GPU}/telemetry"
DAY: dict[str, Any] = {
    "start_time": "2025-07-18T00:00:00Z",
    "end_time": "2025-07-18T23:59:59.999999Z",
    "metric": METRIC,
    "limit": 100_000,
}
# A reading every 10 seconds, as exporters are scraped.
DAY_ROWS = 8_640
CLIENTS = 8
MORE_FROM, MORE_FOR = datetime(2025, 7, 19, tzinfo=UTC), timedelta(days=9)
# What eight clients ask for in turn: pages such as a dashboard's.
PAGES: tuple[tuple[str, dict[str, Any]], ...] = (
    (PATH, {**DAY, "step": "5m"}),
    (PATH, {"limit": 100, "order": "desc"}),
    ("/api/v1/latest", {}),
    ("/api/v1/gpus", {}),
    ("/api/v1/query", {"metric": METRIC, "by": "host", "step": "1h", **{k: DAY[k] for k in ("start_time", "end_time")}}),
)
FILL = f"""
    WITH g AS (INSERT INTO gpus (identity, uuid, host, gpu_index, model) VALUES ('{GPU}', '{GPU}', 'host', 0, 'H100')
               RETURNING id),
         m AS (INSERT INTO metrics (name, unit) VALUES ('{METRIC}', 'C') RETURNING id),
         s AS (INSERT INTO series (gpu_id, metric_id, labels_digest, labels, pod)
               SELECT g.id, m.id, 'd', '{{"pod": "p", "container": "c", "namespace": "n"}}', 'p' FROM g, m RETURNING id)
    INSERT INTO samples SELECT s.id, '2025-07-18'::timestamptz + n * interval '10 s', 30 + n % 50
    FROM s, generate_series(0, {DAY_ROWS - 1}) n
"""  # noqa: S608 - of constants
# Evenly over the days after.
MORE = f"""
    INSERT INTO samples SELECT series.id, '{MORE_FROM:%Y-%m-%d}Z'::timestamptz + n * %(every)s, n %% 100
    FROM series, generate_series(0, %(rows)s - 1) n
"""  # noqa: S608 - of constants
DAYS = """
    SELECT format('CREATE TABLE samples_bench_%s PARTITION OF samples FOR VALUES FROM (%L) TO (%L)',
                  n, '2025-07-18'::timestamptz + n * interval '1 day', '2025-07-19'::timestamptz + n * interval '1 day')
    FROM generate_series(0, 10) n
"""
BY_HAND = """
    SELECT ts, g.identity, m.name, value, m.unit, s.labels FROM samples JOIN series s ON s.id = series_id
    JOIN gpus g ON g.id = s.gpu_id JOIN metrics m ON m.id = s.metric_id
    WHERE g.identity = %s AND m.name = %s AND ts BETWEEN %s AND %s ORDER BY ts
"""
COPY = """
    COPY (SELECT ts, g.identity, m.name, value, m.unit, s.labels FROM samples JOIN series s ON s.id = series_id
    JOIN gpus g ON g.id = s.gpu_id JOIN metrics m ON m.id = s.metric_id
    WHERE g.identity = %s AND ts BETWEEN %s AND %s ORDER BY ts) TO STDOUT (FORMAT csv, HEADER)
"""
EVER: Mapping[str, str] = {}
MIB = 1 << 20
PIECE_BYTES = 1 << 18
LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is asked, and the processes it is made of."""

    http: httpx.Client
    pid: int

    def rss(self) -> int:
        """Bytes that its processes hold; pages they share are counted in each."""
        return sum(each.memory_info().rss for each in family(self.pid))


def run(bench: Bench) -> dict[str, float]:
    """Ours and by hand in turn, so that both have the same moment of the machine."""
    sizes = bench.sizes
    with bench.site(TELEMETRY_API_ACCESS="open", TELEMETRY_API_RATE_LIMIT="") as site, site.database() as database:
        for (statement,) in database.execute(DAYS).fetchall():
            database.execute(statement)
        database.execute(FILL)
        rows = max(sizes.export_rows, sizes.memory_rows)
        every = MORE_FOR / rows
        database.execute(MORE, {"rows": rows, "every": every})
        database.execute("VACUUM ANALYZE")
        server = serving(site)
        with closing(server.http):
            return {
                **_day(server, database, sizes.api_requests),
                **_csv(server, database, sizes.export_rows, MORE_FROM + (sizes.export_rows - 1) * every),
                **_together(server, sizes.api_requests),
                **{f"{name}_growth_mib": _growth(server, name, sizes.memory_rows) for name in ("csv", "ndjson")},
            }


def serving(site: Site) -> Server:
    """The API of a site, which answers."""
    with closing(socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    site.start(
        *("gunicorn", "--config", "python:telemetry.api.gunicorn_conf", "--bind", f"127.0.0.1:{port}", "--workers", "2"),
        *("--threads", "8", "--log-level", "warning", "--no-control-socket", "telemetry.api:create_app()"),
        TELEMETRY_API_STREAMS="4",
    )
    # What is compared is the making of an answer, not its compression.
    http = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Accept-Encoding": "identity"}, timeout=600)
    site.wait(lambda: _answers(http), "the API answers")
    return Server(http, site.running[-1].pid)


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/health").is_success
    except httpx.TransportError:
        return False


def _day(server: Server, database: psycopg.Connection[Any], times: int) -> dict[str, float]:
    """A day of one metric of one GPU, raw, in milliseconds at the median: JSON of the API, and rows by hand."""
    given = [GPU, METRIC, DAY["start_time"], DAY["end_time"]]

    def ours() -> int:
        return server.http.get(PATH, params=DAY).raise_for_status().content.count(b'"timestamp"')

    def by_hand() -> int:
        return len(database.execute(BY_HAND, given).fetchall())

    spent: dict[Callable[[], int], list[float]] = {ours: [], by_hand: []}
    for _ in range(times):
        for ask, took in spent.items():
            began = time.perf_counter()
            if (rows := ask()) != DAY_ROWS:
                raise BenchError(f"{ask.__name__} gave {rows} rows of the day's {DAY_ROWS}")
            took.append(1000 * (time.perf_counter() - began))
    return {"day_p50_ms": statistics.median(spent[ours]), "day_by_hand_p50_ms": statistics.median(spent[by_hand])}


def _csv(server: Server, database: psycopg.Connection[Any], rows: int, end: datetime) -> dict[str, float]:
    """Rows a second of one CSV, by the best of three: the API's and that of COPY."""
    span = {"start_time": MORE_FROM.isoformat(), "end_time": end.isoformat()}
    best = {"csv_rows_per_s": 0.0, "copy_rows_per_s": 0.0}
    for _ in range(3):
        began = time.perf_counter()
        _exported(server, "csv", rows, span)
        ours = time.perf_counter()
        with database.cursor() as cursor, cursor.copy(COPY, [GPU, MORE_FROM, end]) as copy:
            for _ in copy:
                pass
        by_hand = time.perf_counter()
        best["csv_rows_per_s"] = max(best["csv_rows_per_s"], rows / (ours - began))
        best["copy_rows_per_s"] = max(best["copy_rows_per_s"], rows / (by_hand - ours))
    return best


def _exported(
    server: Server, name: str, rows: int, span: Mapping[str, str] = EVER, look: Callable[[], int] | None = None
) -> int:
    """Read an export to its end by a client that costs little; the most that `look` has seen meanwhile, ten times a second."""
    # httpx reads so slowly that it would be what is measured.
    connection = HTTPConnection(server.http.base_url.host, server.http.base_url.port)
    peak, lines, looked = look() if look else 0, 0, time.perf_counter()
    with closing(connection):
        connection.request("GET", f"{PATH}?{urlencode({**span, 'format': name})}")
        answer = connection.getresponse()
        while piece := answer.read1(PIECE_BYTES):
            lines += piece.count(b"\n")
            if look and time.perf_counter() - looked > LOOK_S:
                peak, looked = max(peak, look()), time.perf_counter()
    if answer.status != HTTPStatus.OK or lines < rows or (span and lines > rows + 1):
        raise BenchError(f"{lines} lines of {name} came, of {rows} rows")
    return peak


def _growth(server: Server, name: str, rows: int) -> float:
    """How much more memory the server has, in MiB, while all rows are exported than after an export of some."""
    server.http.get(PATH, params={"format": name, "limit": 50_000})
    before = server.rss()
    return (_exported(server, name, rows, look=server.rss) - before) / MIB


def _together(server: Server, times: int) -> dict[str, float]:
    """Eight clients that ask without a pause: how many answers were no answers, and how long all but one in a hundred took."""

    def client(_: int) -> list[tuple[float, bool]]:
        with httpx.Client(base_url=server.http.base_url, timeout=60) as http:
            outcomes = []
            for number in range(times):
                path, query = PAGES[number % len(PAGES)]
                began = time.perf_counter()
                well = http.get(path, params=query).is_success
                outcomes.append((1000 * (time.perf_counter() - began), well))
            return outcomes

    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = [each for some in clients.map(client, range(CLIENTS)) for each in some]
    took = [each for each, _ in answers]
    return {
        "requests_per_s": len(answers) / (time.perf_counter() - began),
        "errors": sum(not well for _, well in answers),
        "p50_ms": float(np.percentile(took, 50)),
        "p99_ms": float(np.percentile(took, 99)),
    }
