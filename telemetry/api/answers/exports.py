"""Rows on their way out of the database, in pieces: off a server-side cursor, or by COPY where they leave as text.

Owns the time that is given to the first row and to each one after it. What is made of the rows is left to `formats`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from sqlalchemy import Connection, DateTime, Engine, Select, Text, cast, func, select, text

from telemetry.api.answers import streams
from telemetry.api.core import connections, silence_timeout

FETCH_ROWS = 2000
PIECE_BYTES = 1 << 18
# A session waits as long as a reader may stand still, and a little longer: the stream is what ends.
LIMITS = text(
    f"SELECT set_config('idle_in_transaction_session_timeout', '{streams.STALL_S + 10}s', true),"
    f" set_config('statement_timeout', '{streams.LASTS_S + streams.STALL_S}s', true)"
)


def documents(rows: Any, names: list[str]) -> list[dict[str, Any]]:
    """Rows as what JSON is made of."""
    if not rows:
        return []
    kept = [(name, rows[0]._fields.index(name)) for name in names]
    made = [{name: row[at] for name, at in kept} for row in rows]
    if "labels" in names:
        # Labels come as JSON already: to read them only to write them again would cost more than all the rest.
        for document in made:
            document["labels"] = orjson.Fragment(document["labels"])
    return made


def fetched(engine: Engine, statement: Select[Any], names: list[str]) -> Iterator[list[dict[str, Any]]]:
    """Rows off a server-side cursor."""
    with _patient(engine) as (connection, driver):
        for rows in connection.execution_options(stream_results=True, yield_per=FETCH_ROWS).execute(statement).partitions():
            driver.silence_s = streams.STALL_S
            yield documents(rows, names)


def copied(engine: Engine, statement: Select[Any], names: list[str], header: str = "") -> Generator[bytes]:
    """Rows as CSV, as Postgres itself writes it: nothing is faster. No row is split between two pieces."""
    # The order is made within, where times are numbers; a plain projection around it keeps it.
    inner = statement.subquery()
    with _patient(engine) as (_, driver):
        compiled = select(*(_written(inner.c[name]) for name in names)).compile(
            engine, compile_kwargs={"render_postcompile": True}
        )
        command = f"COPY ({compiled}) TO STDOUT (FORMAT csv, {header or 'HEADER false'})"
        with driver.cursor() as cursor, cursor.copy(command, compiled.params) as copy:
            # Row by row into one buffer: to keep each as the driver gives it, until there are many, takes three times as long.
            piece = bytearray()
            for row in copy:
                piece += row
                if len(piece) >= PIECE_BYTES:
                    driver.silence_s = streams.STALL_S
                    yield bytes(piece)
                    piece.clear()
            yield bytes(piece)


def _written(column: Any) -> Any:
    """A column as CSV shows it."""
    if isinstance(column.type, DateTime):
        # Postgres' own text of a time, but for the T in it: to_char is slower.
        plain = cast(func.timezone("UTC", column), Text)
        return func.overlay(plain, "T", 11, 1).op("||")("Z").label(column.key)
    return column


@contextmanager
def _patient(engine: Engine) -> Iterator[tuple[Connection, Any]]:
    """A connection for a stream, and the driver's: the first row must come as soon as the answer to any query."""
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.silence_s = connections.QUERY_TIMEOUT_S
        connection.execute(LIMITS)
        try:
            yield connection, driver
        finally:
            driver.silence_s = silence_timeout.SILENCE_S
            if driver.closed:
                # SQLAlchemy has not seen it, and would end the transaction on it.
                connection.invalidate()
