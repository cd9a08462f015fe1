"""A fleet with one metric: a day in rows, the same day sealed, and a year of such days.

Each stands in a database of its own, and they are asked in turn, so that what else the machine does is the same for all. The
days of the year are copies of the one, made in SQL, and all hosts are read at the times of one there. The API's own application
answers, without a network.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from flask.testing import FlaskClient
from psycopg import sql
from sqlalchemy import Engine, make_url, text

from benchmarks.store import days
from telemetry.api import create_app
from telemetry.settings import Settings
from telemetry.store import migrate
from telemetry.store.engine import driver, make_engine
from telemetry.store.read.history.chosen import Aggregation
from telemetry.store.read.history.fleet import aggregate
from telemetry.store.read.history.selection import SeriesFilter, Span
from telemetry.store.upkeep import months

METRIC = "GPU_UTIL"
AGO_DAYS = 3
READS = 7
NAMES = ("rows", "sealed", "year")
MORE_TIMES = """
    INSERT INTO sealed_times
    SELECT day - %(ago)s, id, ARRAY(SELECT at - make_interval(days => %(ago)s) FROM unnest(times) AS t (at))
    FROM sealed_times WHERE (day, id) = (%(day)s, %(times)s)
"""
MORE = """
    INSERT INTO sealed (series_id, day, times_id, {0})
    SELECT series_id, day - %(ago)s, %(times)s, {0} FROM sealed WHERE day = %(day)s
"""
ENTER = """
    INSERT INTO sealed_spans (first_day, end_day, bounds, samples, sealed_at)
    SELECT first_day - %(ago)s, end_day - %(ago)s, bounds, samples, sealed_at FROM sealed_spans WHERE first_day = %(day)s
"""
OTHERS = (
    "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'sealed'::regclass "
    "AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('series_id', 'day', 'times_id')"
)


def run(server: psycopg.Connection[Any], url: str, gpus: int, year_days: int) -> dict[str, float]:
    """Times in milliseconds and their ratios, of so many GPUs and days. `server` makes databases."""
    day = int(time.time()) // 86_400 - AGO_DAYS
    _new(server, "rows", "template1")
    _on(url, "rows", lambda engine, _: migrate.upgrade(engine))
    _on(url, "rows", lambda engine, _: days.fill(engine, gpus, day, (METRIC,)))
    _new(server, "sealed", "rows")
    _on(url, "sealed", lambda engine, settings: days.seal(engine, settings, day))
    _new(server, "year", "sealed")
    _on(url, "year", lambda engine, _: _grow(engine, year_days))
    with ExitStack() as stack:
        clients = {name: _client(stack, url, name) for name in NAMES}
        engine = make_engine(_settings(url, "rows"), application="bench", pool_size=1)
        stack.callback(engine.dispose)
        times_ms = _in_turn({name: _questions(client, day) for name, client in clients.items()})
        (by_sql,) = _in_turn({"rows": {"heat_map_sql": _heat_map(engine, gpus, day)}}).values()
        long = _in_turn({"year": _of_a_year(clients["year"], day, year_days)})["year"]
    figures: dict[str, float] = {}
    for name, rows_ms in times_ms["rows"].items():
        sealed_ms, year_ms = times_ms["sealed"][name], times_ms["year"][name]
        figures |= {
            f"api_{name}_rows_ms": rows_ms,
            f"api_{name}_sealed_ms": sealed_ms,
            f"api_{name}_ratio": sealed_ms / rows_ms,
        }
        figures[f"api_{name}_x{year_days}_ratio"] = year_ms / sealed_ms
    figures["api_heat_map_to_sql_ratio"] = times_ms["sealed"]["heat_map"] / by_sql["heat_map_sql"]
    return figures | {f"api_{name}_ms": value for name, value in long.items()}


def _name(name: str) -> str:
    return f"bench_store_{name}"


def _settings(url: str, name: str) -> Settings:
    database = make_url(url).set(drivername="postgresql", database=_name(name)).render_as_string(hide_password=False)
    return Settings.load({"TELEMETRY_DATABASE_URL": database})


def _new(server: psycopg.Connection[Any], name: str, template: str) -> None:
    like = template if template == "template1" else _name(template)
    server.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(_name(name))))
    server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(_name(name)), sql.Identifier(like)))


def _on(url: str, name: str, work: Callable[[Engine, Settings], Any]) -> None:
    settings = _settings(url, name)
    engine = make_engine(settings, application="bench", pool_size=1)
    work(engine, settings)
    engine.dispose()


def _client(stack: ExitStack, url: str, name: str) -> FlaskClient:
    app = create_app(replace(_settings(url, name), api_access="open"))
    stack.callback(app.extensions["connections"].close)
    return app.test_client()


def _in_turn(questions: dict[str, dict[str, Callable[[], Any]]]) -> dict[str, dict[str, float]]:
    """The median time of each question to each database, in milliseconds."""
    spent: dict[str, dict[str, list[float]]] = {name: {} for name in questions}
    for turn in range(READS + 1):
        for question in next(iter(questions.values())):
            for name, asked in questions.items():
                begun_s = time.perf_counter()
                asked[question]()
                # The first answer of each warms what is cached.
                if turn:
                    spent[name].setdefault(question, []).append(1000 * (time.perf_counter() - begun_s))
    return {name: {key: statistics.median(times) for key, times in of.items()} for name, of in spent.items()}


def _span(day: int) -> Span:
    start = datetime.fromtimestamp(day * 86_400, UTC)
    return Span(start, start + timedelta(days=1) - timedelta(microseconds=1))


def _heat_map(engine: Engine, gpus: int, day: int) -> Callable[[], Any]:
    """The SQL of a heat map, over rows."""
    heat = Aggregation(SeriesFilter(metrics=(METRIC,)), _span(day), ("gpu",), "avg", timedelta(minutes=5))

    def ask() -> None:
        with engine.connect() as connection:
            assert len(connection.execute(aggregate(heat)).all()) == gpus * 288  # noqa: S101

    return ask


def _questions(client: FlaskClient, day: int) -> dict[str, Callable[[], Any]]:
    first, last = f"{day * 86_400}", f"{(day + 1) * 86_400 - 1}"
    of = {"start_time": first, "end_time": last, "metric": METRIC}
    one, query = "/api/v1/gpus/GPU-1/telemetry", "/api/v1/query"
    return {
        "day_of_one": _asking(client, one, of | {"limit": 10_000}),
        "day_of_one_arrow": _asking(client, one, of | {"format": "arrow"}),
        "steps_of_one": _asking(client, one, of | {"step": "5m"}),
        "heat_map": _asking(client, query, of | {"by": "gpu", "step": "5m", "format": "arrow"}),
    }


def _of_a_year(client: FlaskClient, day: int, year_days: int) -> dict[str, Callable[[], Any]]:
    first, last = (datetime.fromtimestamp(number * 86_400, UTC) for number in (day - year_days + 1, day + 1))
    ends = {"start_time": first.isoformat(), "end_time": (last - timedelta(microseconds=1)).isoformat(), "metric": METRIC}
    query, one = "/api/v1/query", "/api/v1/gpus/GPU-1/telemetry"
    return {
        "year_of_one_by_hour": _asking(client, one, ends | {"step": "1h", "limit": 10_000}),
        "year_of_fleet_by_day": _asking(client, query, ends | {"by": "gpu", "step": "1d", "format": "arrow"}),
    }


def _asking(client: FlaskClient, path: str, parameters: dict[str, Any]) -> Callable[[], Any]:
    def ask() -> None:
        answer = client.get(path, query_string=parameters, buffered=True)
        assert answer.status_code == 200, answer.get_data()  # noqa: S101, PLR2004 - it answers
        assert answer.get_data()  # noqa: S101

    return ask


def _grow(engine: Engine, year_days: int) -> None:
    """Make a year of one sealed day."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        day, times = connection.execute(text("SELECT day, times_id FROM sealed LIMIT 1")).one()
        others = connection.scalar(text(OTHERS)) or ""
        for month in months.between(day - timedelta(days=year_days), day):
            months.add(connection, month)
        beneath = driver(connection)
        for ago in range(1, year_days):
            for statement in (MORE_TIMES, MORE.format(others), ENTER):
                beneath.execute(statement.encode(), {"ago": ago, "day": day, "times": times})
        connection.execute(text("VACUUM ANALYZE sealed"))
        connection.execute(text("VACUUM ANALYZE sealed_times"))
