"""A fleet of 250 GPUs with one metric each: a day in rows, the same sealed, and then a year of such days.

The days of the year are copies of the one, made in SQL; all hosts are read at the times of one there. The API's own application answers, without a
network; answers are those of its readers, as they are encoded for clients.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from benchmarks.store import days
from telemetry.api import create_app
from telemetry.settings import Settings
from telemetry.store.engine import driver
from telemetry.store.read.history.chosen import Aggregation
from telemetry.store.read.history.fleet import aggregate
from telemetry.store.read.history.selection import SeriesFilter, Span
from telemetry.store.upkeep import months

GPUS = 250
METRIC = "GPU_UTIL"
AGO_DAYS = 3
YEAR_DAYS = 365
READS = 7
ONE_DAY = "SELECT day FROM sealed LIMIT 1"
MORE_TIMES = """
    INSERT INTO sealed_times SELECT day - %(ago)s, id, ARRAY(SELECT at - make_interval(days => %(ago)s) FROM unnest(times) AS t (at))
    FROM sealed_times WHERE (day, id) = (%(day)s, %(times)s)
"""
MORE = "INSERT INTO sealed (series_id, day, times_id, {0}) SELECT series_id, day - %(ago)s, %(times)s, {0} FROM sealed WHERE day = %(day)s"
ENTER = """
    INSERT INTO sealed_spans (first_day, end_day, bounds, samples, sealed_at)
    SELECT first_day - %(ago)s, end_day - %(ago)s, bounds, samples, sealed_at FROM sealed_spans WHERE first_day = %(day)s
"""


def run(engine: Engine, settings: Settings) -> dict[str, float]:
    """Times in milliseconds and their ratios."""
    day = int(time.time()) // 86_400 - AGO_DAYS
    days.fill(engine, GPUS, day, (METRIC,))
    app = create_app(replace(settings, api_access="open"))
    with app.test_client() as client:
        questions = _questions(client, engine, day)
        rows = _medians(questions)
        days.seal(engine, settings, day)
        sealed = _medians(questions)
        _grow(engine)
        year = _medians(questions)
        long = _medians(_of_a_year(client, day))
    app.extensions["connections"].close()
    figures = {f"{name}_rows_ms": value for name, value in rows.items()}
    for name in rows:
        figures |= {f"{name}_sealed_ms": sealed[name], f"{name}_ratio": sealed[name] / rows[name]}
        figures |= {f"{name}_x{YEAR_DAYS}": year[name] / sealed[name]}
    figures["heat_map_to_sql_over_rows"] = sealed["heat_map_arrow"] / rows["heat_map_sql"]
    return figures | {f"{name}_ms": value for name, value in long.items()}


def _questions(client: FlaskClient, engine: Engine, day: int) -> dict[str, Callable[[], Any]]:
    start = datetime.fromtimestamp(day * 86_400, UTC)
    span = Span(start, start + timedelta(days=1) - timedelta(microseconds=1))
    assert span.start is not None and span.end is not None, "both ends are given"  # noqa: S101, PT018
    ends = {"start_time": span.start.isoformat(), "end_time": span.end.isoformat()}
    heat = Aggregation(SeriesFilter(metrics=(METRIC,)), span, ("gpu",), "avg", timedelta(minutes=5))

    def sql() -> None:
        with engine.connect() as connection:
            assert len(connection.execute(aggregate(heat)).all()) == GPUS * 288  # noqa: S101

    one, query = "/api/v1/gpus/GPU-1/telemetry", "/api/v1/query"
    fleet = ends | {"metric": METRIC, "by": "gpu", "step": "5m"}
    return {
        "day_of_one_json": _asking(client, one, ends | {"metric": METRIC, "limit": 10_000}),
        "day_of_one_arrow": _asking(client, one, ends | {"metric": METRIC, "format": "arrow"}),
        "steps_of_one": _asking(client, one, ends | {"metric": METRIC, "step": "5m"}),
        "heat_map_arrow": _asking(client, query, fleet | {"format": "arrow"}),
        "heat_map_page": _asking(client, query, fleet | {"limit": 10_000}),
        "heat_map_sql": sql,
    }


def _of_a_year(client: FlaskClient, day: int) -> dict[str, Callable[[], Any]]:
    first, last = (datetime.fromtimestamp(number * 86_400, UTC) for number in (day - YEAR_DAYS + 1, day + 1))
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


def _grow(engine: Engine) -> None:
    """Make a year of one sealed day."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        day = connection.scalar(text(ONE_DAY))
        columns = ", ".join(
            connection.scalars(
                text("""
                    SELECT attname FROM pg_attribute WHERE attrelid = 'sealed'::regclass AND attnum > 0 AND NOT attisdropped
                    AND attname NOT IN ('series_id', 'day', 'times_id') ORDER BY attnum
                """)
            )
        )
        times = connection.scalar(text("SELECT times_id FROM sealed LIMIT 1"))
        for month in months.between(day - timedelta(days=YEAR_DAYS), day):
            months.add(connection, month)
        beneath = driver(connection)
        for ago in range(1, YEAR_DAYS):
            for statement in (MORE_TIMES, MORE.format(columns), ENTER):
                beneath.execute(statement.encode(), {"ago": ago, "day": day, "times": times})
        connection.execute(text("VACUUM ANALYZE sealed"))
        connection.execute(text("VACUUM ANALYZE sealed_times"))


def _medians(questions: dict[str, Callable[[], Any]]) -> dict[str, float]:
    return {name: days.median_ms(ask) for name, ask in questions.items()}
