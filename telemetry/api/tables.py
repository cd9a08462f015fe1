"""Tables: answers that are rows of one kind, a page of them in JSON, or all of them streamed in another format.

Owns the page's envelope and the streams' way to the database: a server-side cursor, or COPY where the rows leave as
text. The SQL comes from `telemetry.store`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, TypeVar

import orjson
from flask import Response, request
from pydantic import BaseModel
from sqlalchemy import Connection, DateTime, Engine, Row, Select, Text, cast, func, select, text

from telemetry.api import formats
from telemetry.api.connections import EXPORT_TIMEOUT_S, connections
from telemetry.api.parameters import Format, Tabular

DEFAULT_LIMIT = 100
FETCH_ROWS = 2000

T = TypeVar("T", bound=BaseModel)


class Listed(BaseModel, Generic[T]):
    """A page of a list. `next_offset` is null at the end."""

    items: list[T]
    limit: int
    offset: int
    next_offset: int | None


class Counted(Listed[T], Generic[T]):
    """A page of a list of which it is known how long it is."""

    total: int


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list: so many rows after so many others. `limit` is None if the request named none."""

    limit: int | None
    offset: int

    @classmethod
    def of(cls, query: Tabular, default: int = DEFAULT_LIMIT) -> Page:
        """The page a query names, as limit and offset or as page and page_size."""
        limit = query.limit or query.page_size
        offset = (query.page - 1) * (limit or default) if query.page else query.offset
        return cls(limit or (default if query.page else None), offset)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows to answer. `statement` gives those from the page's offset on: at most so many, or all of them.

    Its columns have the names of `item`'s fields; further ones are for `cursor`, which says where to go on after a row.
    """

    item: type[BaseModel]
    statement: Callable[[int | None], Select[Any]]
    page: Page
    format: Format | None
    default: int = DEFAULT_LIMIT
    total: Callable[[Connection], int] | None = None
    cursor: Callable[[Row[Any]], str] | None = None
    around: Mapping[str, Any] = field(default_factory=dict)

    def answer(self) -> Response:
        """The table in the format the request wants."""
        chosen = formats.wanted(self.format)
        if chosen == "json":
            return self._page()
        engine = connections().engine
        statement, names = self.statement(self.page.limit), list(self.item.model_fields)
        match chosen:
            case "ndjson":
                pieces = formats.ndjson(_fetched(engine, statement, names))
            case "csv":
                pieces = _copied(engine, statement, names, "HEADER")
            case "arrow":
                pieces = formats.arrow(_copied(engine, statement, names), self.item)
            case "parquet":
                pieces = formats.parquet(_copied(engine, statement, names), self.item)
        # Until the first piece is there, what goes wrong can still be told as a problem.
        first = next(pieces, b"")
        response = Response(_resumed(first, pieces), mimetype=formats.MEDIA[chosen])
        if chosen in {"arrow", "parquet"}:
            name = request.path.strip("/").replace("/", "-")
            response.headers["Content-Disposition"] = f'attachment; filename="{name}.{chosen}"'
        return response

    def _page(self) -> Response:
        limit, offset = self.page.limit or self.default, self.page.offset
        with connections().engine.connect() as connection:
            rows = connection.execute(self.statement(limit + 1)).all()
            counted = {"total": self.total(connection)} if self.total else {}
        more = len(rows) > limit
        names = list(self.item.model_fields)
        body = {**self.around, "items": _documents(rows[:limit], names), "limit": limit, "offset": offset}
        body |= {"next_offset": offset + limit if more else None, **counted}
        if self.cursor:
            body["next_cursor"] = self.cursor(rows[limit - 1]) if more else None
        return Response(formats.json(body), mimetype=formats.MEDIA["json"])


def _documents(rows: Any, names: list[str]) -> list[dict[str, Any]]:
    if not rows:
        return []
    kept = [(name, rows[0]._fields.index(name)) for name in names]
    made = [{name: row[at] for name, at in kept} for row in rows]
    if "labels" in names:
        # Labels come as JSON already: to read them only to write them again would cost more than all the rest.
        for document in made:
            document["labels"] = orjson.Fragment(document["labels"])
    return made


def _fetched(engine: Engine, statement: Select[Any], names: list[str]) -> Iterator[list[dict[str, Any]]]:
    """Rows off a server-side cursor."""
    with engine.connect() as connection:
        _patient(connection)
        with connection.execution_options(stream_results=True, yield_per=FETCH_ROWS).execute(statement) as result:
            for rows in result.partitions():
                yield _documents(rows, names)


def _copied(engine: Engine, statement: Select[Any], names: list[str], header: str = "") -> Iterator[bytes]:
    """Rows as CSV, as Postgres itself writes it: nothing is faster. No row is split between two pieces."""
    # The order is made within, where times are numbers; a plain projection around it keeps it.
    inner = statement.subquery()
    with engine.connect() as connection:
        _patient(connection)
        compiled = select(*(_written(inner.c[name]) for name in names)).compile(
            engine, compile_kwargs={"render_postcompile": True}
        )
        driver: Any = connection.connection.driver_connection
        command = f"COPY ({compiled}) TO STDOUT (FORMAT csv, {header or 'HEADER false'})"
        with driver.cursor() as cursor, cursor.copy(command, compiled.params) as copy:
            rows = iter(copy)
            while some := list(islice(rows, FETCH_ROWS)):
                yield b"".join(some)


def _written(column: Any) -> Any:
    """A column as CSV shows it."""
    if isinstance(column.type, DateTime):
        # Postgres' own text of a time, but for the T in it: to_char is slower.
        plain = cast(func.timezone("UTC", column), Text)
        return func.overlay(plain, "T", 11, 1).op("||")("Z").label(column.key)
    return column


def _patient(connection: Connection) -> None:
    connection.execute(text(f"SET LOCAL statement_timeout = '{EXPORT_TIMEOUT_S}s'"))


def _resumed(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
