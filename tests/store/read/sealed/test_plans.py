"""Answers of arrays read the partitions of their days alone: the plan of each statement that they send says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine

from telemetry.collector.writer import BatchWriter
from telemetry.readings.derived import Formula
from telemetry.settings import Settings
from telemetry.store import hours
from telemetry.store.engine import driver
from telemetry.store.read.history.chosen import Aggregation
from telemetry.store.read.history.raw import FleetReadings
from telemetry.store.read.history.readings import GpuReadings
from telemetry.store.read.history.selection import SeriesFilter, Span
from telemetry.store.read.sealed import columns, paths
from telemetry.store.read.sealed.paths import Reader
from tests.batches import T0_US, batch, key
from tests.batches import readings as content
from tests.store.upkeep.test_sealing import DAY_S, at_once, seal_all, sealer  # noqa: F401 - fixtures

T0 = datetime.fromtimestamp(T0_US / 1e6, UTC)
# Of the second of three months that are sealed; the fourth is in rows.
SPAN = Span(T0 + timedelta(days=39), T0 + timedelta(days=41))
MONTH = f"{T0 + timedelta(days=40):%Y%m}"
READERS: dict[str, Callable[[], Reader | None]] = {
    "raw": lambda: paths.of_raw(GpuReadings(1, "GPU-1", SPAN), None),
    "page": lambda: paths.of_raw(GpuReadings(1, "GPU-1", SPAN), 5),
    "steps": lambda: paths.of_steps(GpuReadings(1, "GPU-1", SPAN), timedelta(minutes=5), "last"),
    "hours": lambda: paths.of_steps(GpuReadings(1, "GPU-1", SPAN), timedelta(hours=1), "avg"),
    "fleet raw": lambda: paths.of_raw_fleet(FleetReadings(SeriesFilter(), SPAN), None),
    "increase": lambda: paths.of_fleet(Aggregation(SeriesFilter(), SPAN, ("gpu",), "increase")),
    "formula": lambda: paths.of_fleet(Aggregation(SeriesFilter(), SPAN, (), "max", formula=Formula(("DCGM_FI_DEV_GPU_UTIL",)))),
    "fleet": lambda: paths.of_fleet(Aggregation(SeriesFilter(), SPAN, ("gpu",), "p95", timedelta(hours=1))),
}


class Recorder(psycopg.Cursor[Any]):
    """A cursor that keeps what is sent by it."""

    sent: list[tuple[str, Any]] = []  # noqa: RUF012 - one list for all

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        """Keep a statement."""
        self.sent.append((query if isinstance(query, str) else bytes(query).decode(), params))
        return super().execute(query, params, **options)

    def copy(self, statement: Any, params: Any = None, **options: Any) -> Any:
        """Keep the query of a COPY."""
        self.sent.append((bytes(statement).decode().removeprefix("COPY (").removesuffix(") TO STDOUT (FORMAT binary)"), params))
        return super().copy(statement, params, **options)


@pytest.mark.parametrize("name", READERS)
def test_other_days_are_not_read(
    engine: Engine,
    sealer: Settings,  # noqa: F811 - the fixture
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setattr(hours, "MIN_SAMPLES", 1)
    writer = BatchWriter(sealer, engine)
    for number in (0, 40, 80):
        writer.write([batch(content(*((key(), number * DAY_S + second, 1.0) for second in range(9))), f"b{number}")])
    seal_all(engine, sealer)
    writer.write([batch(content((key(), 120 * DAY_S, 1.0)), "open")])
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        beneath = driver(connection)
        monkeypatch.setattr(beneath, "cursor_factory", Recorder)
        monkeypatch.setattr(Recorder, "sent", [])
        reader = READERS[name]()
        pieces = reader(connection, 9.0) if reader else None
        assert pieces is not None
        assert sum(map(columns.length, pieces)) > 0
        sent, read = list(Recorder.sent), set[str]()
        for statement, parameters in sent:
            if "SELECT" in statement and "LOCK" not in statement:
                plan = beneath.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}".encode(), parameters).fetchone()
                assert plan is not None
                found = json.loads(plan[0]) if isinstance(plan[0], str) else plan[0]
                read |= {
                    node["Relation Name"]
                    for node in nodes(found[0]["Plan"])
                    if "Relation Name" in node and node["Actual Loops"]
                }
    stored = {table for table in read if table.startswith(("samples", "sealed_2", "sealed_times_"))}
    assert stored & {f"sealed_{MONTH}"}
    assert stored <= {f"sealed_{MONTH}", f"sealed_times_{MONTH}"}


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan and all plans below it."""
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)
