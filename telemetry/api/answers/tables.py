"""Tables: answers that are rows of one kind. JSON has a page of them; the other formats have all, streamed if they are many."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import orjson
from flask import Response, request
from pydantic import BaseModel
from sqlalchemy import Connection, Engine, Select

from telemetry.api.answers import arrays, columnar, csv_rows, cursors, encodings, exports, streams
from telemetry.api.answers.pages import Page
from telemetry.api.core import deadlines
from telemetry.api.core.problems import ProblemError
from telemetry.store.read.sealed import columns
from telemetry.store.read.sealed.columns import Columns
from telemetry.store.read.sealed.paths import Reader

# An answer up to this size is sent as a whole, whatever its format.
WHOLE_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Table:
    """Rows to answer, those of a page of `statement`, whose columns have the names of `item`'s fields.

    `total` counts all rows. `ends` are the columns that say where a row is in the list, if cursors go on there; they need not
    be fields of `item`. `around` stands beside the rows in JSON. `reader` may have the same rows sooner, as arrays; then a
    statement that is made when it is called is not made at all. Where people work the rows off, they are asked `of_primary`: a
    replica may still have what is done.
    """

    item: type[BaseModel]
    statement: Select[Any] | Callable[[], Select[Any]]
    page: Page
    total: Select[Any] | None = None
    ends: Collection[str] = ()
    around: Mapping[str, Any] = field(default_factory=dict)
    reader: Reader | None = None
    of_primary: bool = False

    @property
    def paged(self) -> Select[Any]:
        """The statement with the page's limit and offset."""
        statement = self.statement() if callable(self.statement) else self.statement
        return statement.limit(self.page.rows).offset(self.page.offset or None)


def document(table: Table, connection: Connection) -> dict[str, Any]:
    """A page as its JSON document."""
    page = table.page
    items, last, more = _page(table, connection)
    body: dict[str, Any] = {
        **table.around,
        "items": items,
        "limit": page.size,
        "offset": page.offset,
        "next_offset": page.offset + page.size if more and page.cursor is None else None,
    }
    if table.total is not None:
        body["total"] = connection.scalar(table.total) or 0
    if table.ends:
        body["next_cursor"] = cursors.write(last, page.question) if more else None
    return body


def _page(table: Table, connection: Connection) -> tuple[Any, Sequence[Any], bool]:
    """The rows of a page in JSON, the place in the list of the last of them, and whether there are more."""
    names, page = list(table.item.model_fields), table.page
    pieces = table.reader(connection, deadlines.QUERY_S) if table.reader else None
    if pieces is None:
        rows = connection.execute(table.paged).all()
        last = [row._mapping[name] for row in rows[page.size - 1 : page.size] for name in table.ends]  # noqa: SLF001 - public
        return exports.documents(rows[: page.size], names), last, len(rows) > page.size
    with closing(pieces):
        chunks = list(columns.page(pieces, page.offset, page.rows))
    shown = [arrays.objects(piece, names).text(b",") for piece in columns.page(chunks, 0, page.size)]
    items = orjson.Fragment(b"[" + b",".join(shown) + b"]")
    last = list(columns.page(chunks, page.size - 1, 1)) if table.ends else []
    ends = [columns.values(piece[name])[0] for piece in last for name in table.ends]
    return items, ends, sum(map(columns.length, chunks)) > page.size


def export(table: Table, engine: Engine, name: str) -> Response:
    """All rows, in another format than JSON. A browser saves a binary one under `name`. Raises ProblemError."""
    names, times = list(table.item.model_fields), columnar.times(table.item)
    encoding = table.page.encoding
    rows = _arrays(table, engine)
    match encoding:
        case "ndjson":
            sql = exports.fetched(engine, table.paged, names)
            pieces = encodings.ndjson(sql) if rows is None else arrays.ndjson(rows, names)
        case "csv":
            if rows is None:
                pieces = exports.copied(engine, table.paged, names, times=times, header=True, neutral=_is_browser())
            else:
                pieces = csv_rows.written(rows, names, neutral=_is_browser())
        case "arrow" | "parquet":
            schema, write = columnar.schema(table.item), columnar.arrow if encoding == "arrow" else columnar.parquet
            csv = exports.copied(engine, table.paged, names, times=times)
            pieces = write(columnar.of_csv(csv, table.item) if rows is None else arrays.batches(rows, schema), table.item)
        case "json":
            raise ValueError("JSON is answered by document()")
    response = _response(pieces, encodings.MEDIA[encoding])
    if encoding in {"arrow", "parquet"}:
        response.headers["Content-Disposition"] = f'attachment; filename="{name}.{encoding}"'
    return response


def _arrays(table: Table, engine: Engine) -> Generator[Columns] | None:
    """The rows of an export as arrays, if they are had so."""
    if table.reader is None:
        return None
    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    pieces = None
    try:
        pieces = table.reader(connection, deadlines.QUERY_S)
    finally:
        if pieces is None:
            connection.close()
    return None if pieces is None else _paged(table.page, connection, pieces)


def _paged(page: Page, connection: Connection, pieces: Generator[Columns]) -> Generator[Columns]:
    """The rows of a page. When nobody wants the rest, the moment ends before its connection goes back to others."""
    with connection, closing(pieces):
        yield from columns.page(pieces, page.offset, page.rows)


def _response(pieces: Generator[bytes], media: str) -> Response:
    """Pieces as a whole if they are few, otherwise as a stream. An error in the first of them still becomes a problem."""
    begun, size = [], 0
    for piece in pieces:
        begun.append(piece)
        size += len(piece)
        if size > WHOLE_BYTES:
            break
    else:
        return Response(b"".join(begun), mimetype=media)
    try:
        return streams.response(streams.Stream(streams.limited(_resumed(b"".join(begun), pieces)), media, close=pieces.close))
    except ProblemError:
        pieces.close()
        raise


def _resumed(begun: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield begun
    yield from rest


def _is_browser() -> bool:
    """Whether a browser asks, whose user opens the file in a spreadsheet.

    Browsers say the first to https and loopback only (https://www.w3.org/TR/fetch-metadata/), and ask for a page elsewhere too.
    """
    return "Sec-Fetch-Mode" in request.headers or "text/html" in request.headers.get("Accept", "")
