"""Rows on their way out of the database: in pieces, whole, and within the deadlines of a stream."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import orjson
import psycopg
import pytest
from sqlalchemy import DateTime, Engine, Integer, Select, Text, func, literal_column, select, text

from telemetry.api.answers import exports
from telemetry.api.core import deadlines
from telemetry.api.core.connections import Connections
from telemetry.collector.writer import BatchWriter
from telemetry.settings import Settings
from telemetry.store.read.history import raw
from telemetry.store.read.history.raw import FleetReadings
from telemetry.store.read.history.selection import SeriesFilter, Span
from telemetry.store.upkeep import chores, sealing
from telemetry.store.upkeep.chores import SEALING
from tests.batches import batch, key, readings
from tests.waiting import eventually

ROWS = 5000
NAMES = ["number", "time", "text"]


@pytest.fixture
def api_engine(settings: Settings) -> Iterator[Engine]:
    """The engine of the API, whose connections have a limit on silence."""
    connections = Connections(settings)
    yield connections.engine
    connections.close()


def numbered(rows: int = ROWS) -> Select[Any]:
    """Rows with a number, a time, a text that CSV must quote, and a column that nobody asks for."""
    columns: list[Any] = [
        literal_column("n", Integer).label("number"),
        literal_column("'2025-07-18 22:42:34.5+02'::timestamptz", DateTime(timezone=True)).label("time"),
        literal_column("""'a "b",' || chr(10) || 'c'""", Text).label("text"),
        literal_column("0", Integer).label("more"),
    ]
    return select(*columns).select_from(func.generate_series(1, rows).alias("n")).order_by(literal_column("n").desc())


def state(engine: Engine) -> str | None:
    """What the API's one session is doing, as Postgres sees it."""
    with engine.connect() as connection:
        where = "application_name = 'telemetry-api' AND datname = current_database()"
        found: str | None = connection.scalar(text(f"SELECT state FROM pg_stat_activity WHERE {where}"))  # noqa: S608
        return found


def test_rows_become_objects_with_the_names_asked_for(engine: Engine) -> None:
    with engine.connect() as connection:
        rows = connection.execute(text("""SELECT 1 AS a, 2 AS index, '{"pod": "p"}' AS labels, 3 AS more""")).all()
    assert orjson.dumps(exports.documents(rows, ["index", "labels", "a"])) == b'[{"index":2,"labels":{"pod": "p"},"a":1}]'
    assert exports.documents([], ["a"]) == []


def test_csv_comes_in_pieces_of_whole_rows_in_order(api_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "PIECE_BYTES", 1000)
    pieces = list(exports.copied(api_engine, numbered(), NAMES, times={"time"}))
    assert len(pieces) > 100
    parts = [list(csv.reader(io.StringIO(piece.decode(), newline=""))) for piece in pieces]
    assert {len(row) for rows in parts for row in rows} == {3}
    rows = [row for rows in parts for row in rows]
    assert [int(number) for number, _, _ in rows] == list(range(ROWS, 0, -1))
    assert {(time, text_) for _, time, text_ in rows} == {("2025-07-18T20:42:34.500000Z", 'a "b",\nc')}


def test_only_csv_for_readers_has_a_header(api_engine: Engine) -> None:
    head = next(exports.copied(api_engine, numbered(1), NAMES, times=(), header=True))
    assert head.startswith(b"number,time,text\n1,")
    assert b"".join(exports.copied(api_engine, numbered(0), NAMES, times=())) == b""


def test_objects_come_in_pieces(api_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "FETCH_ROWS", 2000)
    pieces = list(exports.fetched(api_engine, numbered(), NAMES))
    assert [len(rows) for rows in pieces] == [2000, 2000, 1000]
    assert list(pieces[0][0]) == NAMES


def test_an_export_that_is_given_up_gives_its_connection_back(api_engine: Engine, engine: Engine) -> None:
    pieces = exports.copied(api_engine, numbered(2_000_000), NAMES, times=())
    next(pieces)
    assert state(engine) == "active"
    pieces.close()
    assert state(engine) in {None, "idle"}
    # The next borrower of the connection has the usual limit again.
    with api_engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        assert driver.silence_s == deadlines.SILENCE_S


def test_the_first_row_must_come_as_soon_as_any_answer(api_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "QUERY_S", 0.5)
    slow = select(func.pg_sleep(30).cast(Text).label("slept"))
    with pytest.raises(psycopg.errors.QueryCanceled, match=r"nothing came from the database for 0.5 s"):
        next(exports.copied(api_engine, slow, ["slept"], times=()))
    with api_engine.connect() as connection:
        assert connection.scalar(select(1)) == 1


@pytest.mark.parametrize("form", ["objects", "csv"])
def test_an_export_that_waits_while_a_day_is_sealed_has_the_day(
    api_engine: Engine, engine: Engine, settings: Settings, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes while the sealer holds its lock, and goes on when the partition is gone."""
    monkeypatch.setattr(sealing, "QUIET_S", 0.0)
    BatchWriter(settings, engine).write([batch(readings(*((key(), second, 1.0) for second in range(ROWS))))])
    sealer = replace(settings, seal_after_days=1)
    for _ in range(2):
        assert chores.run(engine, sealer, SEALING, SEALING.max_rows)
    statement = raw.readings(FleetReadings(SeriesFilter(), Span()))

    def export() -> int:
        if form == "objects":
            return sum(map(len, exports.fetched(api_engine, statement, ["value"])))
        return sum(piece.count(b"\n") for piece in exports.copied(api_engine, statement, ["value"], times=()))

    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as connection:
            assert sealing.seal_further(connection)
            exported = pool.submit(export)
            eventually(lambda: state(engine) == "active")
        assert exported.result() == ROWS
