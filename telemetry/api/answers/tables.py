"""Tables: answers that are rows of one kind. JSON has a page of them; the other formats have all, streamed if they are many."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Response, request
from pydantic import BaseModel
from sqlalchemy import Connection, Engine, Select

from telemetry.api.answers import columnar, cursors, encodings, exports, streams
from telemetry.api.answers.pages import Page
from telemetry.api.core.problems import ProblemError

# An answer up to this size is sent as a whole, whatever its format.
WHOLE_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Table:
    """Rows to answer, those of a page of `statement`, whose columns have the names of `item`'s fields.

    `total` counts all rows. `ends` are the columns that say where a row is in the list, if cursors go on there; they need not
    be fields of `item`. `around` stands beside the rows in JSON. Where people work the rows off, they are asked `of_primary`: a
    replica may still have what is done.
    """

    item: type[BaseModel]
    statement: Select[Any]
    page: Page
    total: Select[Any] | None = None
    ends: Collection[str] = ()
    around: Mapping[str, Any] = field(default_factory=dict)
    of_primary: bool = False

    @property
    def paged(self) -> Select[Any]:
        """The statement with the page's limit and offset."""
        return self.statement.limit(self.page.rows).offset(self.page.offset or None)


def document(table: Table, connection: Connection) -> dict[str, Any]:
    """A page as its JSON document."""
    page = table.page
    rows = connection.execute(table.paged).all()
    shown, more = rows[: page.size], len(rows) > page.size
    body: dict[str, Any] = {
        **table.around,
        "items": exports.documents(shown, list(table.item.model_fields)),
        "limit": page.size,
        "offset": page.offset,
        "next_offset": page.offset + page.size if more and page.cursor is None else None,
    }
    if table.total is not None:
        body["total"] = connection.scalar(table.total) or 0
    if table.ends:
        last = shown[-1]._mapping if more else None  # noqa: SLF001 - a public name of SQLAlchemy
        body["next_cursor"] = cursors.write([last[name] for name in table.ends], page.question) if last else None
    return body


def export(table: Table, engine: Engine, name: str) -> Response:
    """All rows, in another format than JSON. A browser saves a binary one under `name`. Raises ProblemError."""
    names, times = list(table.item.model_fields), columnar.times(table.item)
    encoding = table.page.encoding
    match encoding:
        case "ndjson":
            pieces = encodings.ndjson(exports.fetched(engine, table.paged, names))
        case "csv":
            pieces = exports.copied(engine, table.paged, names, times=times, header=True, neutral=_is_browser())
        case "arrow":
            pieces = columnar.arrow(exports.copied(engine, table.paged, names, times=times), table.item)
        case "parquet":
            pieces = columnar.parquet(exports.copied(engine, table.paged, names, times=times), table.item)
        case "json":
            raise ValueError("JSON is answered by document()")
    response = _response(pieces, encodings.MEDIA[encoding])
    if encoding in {"arrow", "parquet"}:
        response.headers["Content-Disposition"] = f'attachment; filename="{name}.{encoding}"'
    return response


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
