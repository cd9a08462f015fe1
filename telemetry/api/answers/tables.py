"""Tables: answers that are rows of one kind, a page of them in JSON, or all of them streamed in another format.

Owns the page's envelope, and what is a stream: more rows than are sent at once. How rows come from the database for it
is in `exports`; the SQL comes from `telemetry.store`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from flask import Response, request
from pydantic import BaseModel
from sqlalchemy import Connection, Row, Select

from telemetry.api.answers import cursors, encodings, exports, streams
from telemetry.api.core.connections import connections, database, give_back
from telemetry.api.core.parameters import Followed, Format, Tabular
from telemetry.api.core.problems import ProblemError

DEFAULT_LIMIT = 100
# An answer up to this size is sent as a whole, whatever its format: it is no stream.
WHOLE_BYTES = 1 << 18

T = TypeVar("T", bound=BaseModel)


class Listed(BaseModel, Generic[T]):
    """A page of a list. `next_offset` is null at the end, and on pages that a cursor began."""

    items: list[T]
    limit: int
    offset: int
    next_offset: int | None


class Continued(Listed[T], Generic[T]):
    """A page of a list that changes while it is read. `next_cursor` goes on where it ended; it is null at the end."""

    next_cursor: str | None


class Counted(Listed[T], Generic[T]):
    """A page of a list of which it is known how long it is."""

    total: int


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list: so many rows after so many others. `limit` is None if the request named none.

    A page that a cursor began has no offset, nor has the next one.
    """

    limit: int | None
    offset: int
    followed: bool = False

    @classmethod
    def of(cls, query: Tabular, default: int = DEFAULT_LIMIT) -> Page:
        """The page a query names, as limit and offset or as page and page_size."""
        limit = query.limit or query.page_size
        offset = (query.page - 1) * (limit or default) if query.page else query.offset
        followed = isinstance(query, Followed) and query.cursor is not None
        return cls(limit or (default if query.page else None), offset, followed)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows to answer. `statement` gives those from the page's offset on: at most so many, or all of them.

    Its columns have the names of `item`'s fields; further ones are for `cursor`, the place to go on at after a row.
    """

    item: type[BaseModel]
    statement: Callable[[int | None], Select[Any]]
    page: Page
    format: Format | None
    default: int = DEFAULT_LIMIT
    total: Callable[[Connection], int] | None = None
    cursor: Callable[[Row[Any]], Sequence[Any]] | None = None
    about: str = ""
    around: Mapping[str, Any] = field(default_factory=dict)

    def answer(self) -> Response:
        """The table in the format the request wants."""
        chosen = encodings.wanted(self.format)
        if chosen == "json":
            return self._page()
        give_back()
        engine = connections().engine
        statement, names = self.statement(self.page.limit), list(self.item.model_fields)
        match chosen:
            case "ndjson":
                pieces = encodings.ndjson(exports.fetched(engine, statement, names))
            case "csv":
                pieces = exports.copied(engine, statement, names, "HEADER")
            case "arrow":
                pieces = encodings.arrow(exports.copied(engine, statement, names), self.item)
            case "parquet":
                pieces = encodings.parquet(exports.copied(engine, statement, names), self.item)
        response = _response(pieces, encodings.MEDIA[chosen])
        if chosen in {"arrow", "parquet"}:
            name = request.path.strip("/").replace("/", "-")
            response.headers["Content-Disposition"] = f'attachment; filename="{name}.{chosen}"'
        return response

    def _page(self) -> Response:
        limit, offset = self.page.limit or self.default, self.page.offset
        connection = database()
        rows = connection.execute(self.statement(limit + 1)).all()
        counted = {"total": self.total(connection)} if self.total else {}
        more = len(rows) > limit
        names = list(self.item.model_fields)
        body = {**self.around, "items": exports.documents(rows[:limit], names), "limit": limit, "offset": offset}
        body |= {"next_offset": offset + limit if more and not self.page.followed else None, **counted}
        if self.cursor:
            body["next_cursor"] = cursors.write(self.cursor(rows[limit - 1]), self.about) if more else None
        return Response(encodings.json(body), mimetype=encodings.MEDIA["json"])


def _response(pieces: Generator[bytes], media: str) -> Response:
    """Pieces as a whole if they are few, else as a stream. Until that is known, what goes wrong can be told as a problem."""
    begun, size = [], 0
    for piece in pieces:
        begun.append(piece)
        size += len(piece)
        if size > WHOLE_BYTES:
            break
    else:
        return Response(b"".join(begun), mimetype=media)
    try:
        end = streams.begin()
    except ProblemError:
        pieces.close()
        raise
    response = Response(streams.lasting(_resumed(b"".join(begun), pieces)), mimetype=media)
    # Also when nobody ever asks for the first piece: the database's connection hangs on them.
    response.call_on_close(pieces.close)
    response.call_on_close(end)
    return response


def _resumed(begun: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield begun
    yield from rest
