"""Takes rows out of the database in pieces: off a server-side cursor, or by COPY where they leave as text.

Both keep the deadlines of a stream. `encodings` and `columnar` turn the rows into answers.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, Row, Select, String, Text, case, cast, func, select, text

from telemetry.api.core import deadlines

FETCH_ROWS = 2000
# Lengths of Postgres' own text of a time: in whole seconds, and in microseconds.
SECONDS, MICROSECONDS = len("2025-07-18 20:42:34"), len("2025-07-18 20:42:34.123456")
PIECE_BYTES = 1 << 18
TEXTS = frozenset({"labels", "owner", "other_owner", "reasons"})
# What spreadsheets take for the beginning of a formula.
FORMULA = r"^[=+@\t\r-]"


def documents(rows: Sequence[Row[Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """Rows as JSON objects with these names. Columns of TEXTS must hold the text of JSON; it is put in as it is."""
    if not rows:
        return []
    positions = [(name, rows[0]._fields.index(name)) for name in names]
    objects = [{name: row[position] for name, position in positions} for row in rows]
    for name in TEXTS.intersection(names):
        # To parse labels only to write them again would cost more than all the rest.
        for document in objects:
            document[name] = orjson.Fragment(document[name])
    return objects


def fetched(engine: Engine, statement: Select[Any], names: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """Rows as JSON objects, FETCH_ROWS at a time."""
    with _session(engine) as (connection, driver):
        for rows in connection.execution_options(stream_results=True, yield_per=FETCH_ROWS).execute(statement).partitions():
            driver.silence_s = deadlines.STALL_S
            yield documents(rows, names)


def copied(
    engine: Engine,
    statement: Select[Any],
    names: Sequence[str],
    *,
    times: Collection[str],
    header: bool = False,
    neutral: bool = False,
) -> Generator[bytes]:
    """Rows as CSV, written by Postgres itself, which is the fastest way. No row is split between two pieces.

    `times` are the columns that hold times. They are told apart by the answer's declaration, because an expression such as a
    maximum has no type in SQLAlchemy. Their text is the one that JSON has. `neutral` texts are none that a spreadsheet takes
    for formulas.
    """
    # The rows are ordered inside, where times are still times. A plain projection around them keeps their order.
    inner = statement.subquery()
    with _session(engine) as (_, driver):
        columns = (
            _time(inner.c[name]) if name in times else _neutral(inner.c[name]) if neutral else inner.c[name] for name in names
        )
        compiled = select(*columns).compile(engine, compile_kwargs={"render_postcompile": True})
        command = f"COPY ({compiled}) TO STDOUT (FORMAT csv, HEADER {str(header).lower()})"
        with driver.cursor() as cursor, cursor.copy(command, compiled.params) as copy:
            # One buffer for many rows: keeping each row as the driver gives it takes three times as long.
            piece = bytearray()
            for row in copy:
                piece += row
                if len(piece) >= PIECE_BYTES:
                    driver.silence_s = deadlines.STALL_S
                    yield bytes(piece)
                    piece.clear()
            yield bytes(piece)


def _time(column: Any) -> Any:
    """A time as RFC 3339 in UTC: whole seconds, or six digits of a second."""
    # Postgres' own text, with a T in it and the zeros that it leaves out. to_char would be slower.
    plain = func.overlay(cast(func.timezone("UTC", column), Text), "T", 11, 1)
    padded = case((func.length(plain) > SECONDS, func.rpad(plain, MICROSECONDS, "0")), else_=plain)
    return padded.op("||")("Z").label(column.key)


def _neutral(column: Any) -> Any:
    """A text with an apostrophe before what begins a formula (owasp.org/www-community/attacks/CSV_Injection)."""
    if not isinstance(column.type, String):
        return column
    return case((column.op("~")(FORMULA), func.concat("'", column)), else_=column).label(column.key)


@contextmanager
def _session(engine: Engine) -> Iterator[tuple[Connection, Any]]:
    """A connection with the deadlines of an export, and the driver's. The first row must come as soon as any answer."""
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.silence_s = deadlines.QUERY_S
        limits = [func.set_config(name, f"{seconds}s", True) for name, seconds in deadlines.export_session().items()]
        connection.execute(select(*limits))
        # A cursor and a COPY are of the moment before they wait for a lock: a day that is sealed meanwhile would be missing.
        connection.execute(text("LOCK TABLE ONLY samples IN ACCESS SHARE MODE"))
        try:
            yield connection, driver
        finally:
            driver.silence_s = deadlines.SILENCE_S
            if driver.closed:
                # SQLAlchemy has not noticed, and would try to end the transaction.
                connection.invalidate()
