"""Streams from a real server: the same memory for any length, broken off rather than cut short, given up with their reader."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import Engine, text

from telemetry.store import partitions
from tests.waiting import eventually

ROWS = 400_000
# What parsing and compressing a piece takes, whatever comes after it; the rows themselves are 30 to 50 MB.
# Allocators keep some; all rows at once would be several times as much.
GROWTH_BYTES = 64 << 20
PATH = "/api/v1/gpus/GPU-a0/telemetry"
LONG = text(
    "INSERT INTO samples SELECT min(series.id), '2025-11-08'::timestamptz + n * interval '0.1 s', n"
    " FROM series JOIN gpus ON gpus.id = gpu_id, generate_series(1, :rows) n WHERE identity = 'GPU-a0' GROUP BY n"
)
EXPORTING = text(
    "SELECT pid FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = 'telemetry-api' AND state = 'active'"
)


@pytest.fixture
def serving(start_api: Callable[..., tuple[str, int]], engine: Engine, fleet: None) -> tuple[str, psutil.Process]:
    """Where a server listens, and its one worker; one series there is long."""
    partitions.Partitions(engine).ensure([20_400])
    with engine.begin() as connection:
        connection.execute(LONG, {"rows": ROWS})
    base, pid = start_api(TELEMETRY_API_ACCESS="open")
    (worker,) = psutil.Process(pid).children()
    return base, worker


@pytest.fixture
def long_history(engine: Engine, fleet: None) -> None:
    """A series of many readings."""
    partitions.Partitions(engine).ensure([20_400])
    with engine.begin() as connection:
        connection.execute(LONG, {"rows": ROWS})


def test_a_reader_who_stands_still_is_let_go(
    start_api: Callable[..., tuple[str, int]], long_history: None, engine: Engine
) -> None:
    base, _ = start_api("tests.api.impatient:app()", TELEMETRY_API_ACCESS="open", TELEMETRY_API_STREAMS="2")

    def held() -> int:
        with engine.connect() as connection:
            return len(connection.scalars(EXPORTING).all())

    with ExitStack() as standing:
        for name in ("csv", "ndjson"):
            # Compressed, all of it would fit into what sockets hold.
            plain = {"Accept-Encoding": "identity"}
            answer = standing.enter_context(httpx.stream("GET", f"{base}{PATH}?format={name}", headers=plain, timeout=60))
            assert answer.status_code == 200
        refused = httpx.get(f"{base}{PATH}?format=csv")
        assert (refused.status_code, refused.json()["code"], refused.headers["Retry-After"]) == (503, "too_many_streams", "5")
        # Those who are answered at once are, while all places are taken.
        assert httpx.get(f"{base}/api/v1/gpus").status_code == 200
        eventually(lambda: not held(), 20, what="no connection is held")
        assert eventually(lambda: httpx.get(f"{base}{PATH}?format=csv", timeout=60), 20).status_code == 200


def test_the_first_row_comes_as_soon_as_any_answer(
    start_api: Callable[..., tuple[str, int]], long_history: None, engine: Engine
) -> None:
    base, _ = start_api("tests.api.impatient:app()", TELEMETRY_API_ACCESS="open")
    with engine.begin() as connection:
        # A function in place of a column that takes its time for each row.
        connection.execute(text("ALTER TABLE metrics RENAME TO quick"))
        connection.execute(text("CREATE VIEW metrics AS SELECT quick.* FROM quick, pg_sleep(30)"))
    for name in ("csv", "ndjson", "json"):
        answer = httpx.get(f"{base}{PATH}?format={name}", timeout=20)
        assert (answer.status_code, answer.json()["code"]) == (503, "query_timeout"), name


def test_memory_stays_flat_in_every_format(serving: tuple[str, psutil.Process]) -> None:
    base, worker = serving
    for name in ("csv", "ndjson", "arrow", "parquet"):
        # What is loaded at the first use is no growth.
        httpx.get(f"{base}{PATH}?format={name}&limit=60000")
        before = peak = worker.memory_info().rss
        size = 0
        with httpx.stream("GET", f"{base}{PATH}?format={name}", headers={"Accept-Encoding": "identity"}, timeout=60) as answer:
            for piece in answer.iter_raw():
                size += len(piece)
                peak = max(peak, worker.memory_info().rss)
        assert size > ROWS * (1 if name == "parquet" else 50), name
        assert peak - before < GROWTH_BYTES, name


def test_a_stream_that_fails_is_broken_off(serving: tuple[str, psutil.Process], engine: Engine) -> None:
    base, _ = serving

    def read() -> None:
        with httpx.stream("GET", f"{base}{PATH}?format=csv", timeout=60) as answer:
            assert answer.status_code == 200
            pieces = answer.iter_raw()
            next(pieces)
            with engine.begin() as connection:
                for pid in connection.scalars(EXPORTING).all():
                    connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            for _ in pieces:
                pass

    with pytest.raises(httpx.RemoteProtocolError):
        read()
    assert httpx.get(f"{base}/api/v1/gpus").status_code == 200


def test_a_reader_who_goes_away_ends_the_query(serving: tuple[str, psutil.Process], engine: Engine, tmp_path: Path) -> None:
    base, _ = serving
    with httpx.stream("GET", f"{base}{PATH}?format=csv", timeout=60) as answer:
        next(answer.iter_raw())

    def none_left() -> bool:
        with engine.connect() as connection:
            return not connection.scalars(EXPORTING).all()

    eventually(none_left, 10, what="the query is over")
    assert "Traceback" not in "".join(log.read_text() for log in tmp_path.glob("*gunicorn.log"))
