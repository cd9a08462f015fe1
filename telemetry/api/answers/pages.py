"""Pages: which part of a list a request asks for, in which format; and the JSON envelope that a page is answered in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from werkzeug.datastructures import MIMEAccept

from telemetry.api.answers import cursors, encodings
from telemetry.api.answers.cursors import Ends, Question
from telemetry.api.core.parameters import Encoding
from telemetry.api.core.queries import Followed, Tabular

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
    """A page of a list whose length is known."""

    total: int


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of a list that a request asks for: `limit` rows (None: it gave no limit) after `offset` others or a cursor.

    JSON shows a page of `size` rows, every other format all of them up to `limit`.
    """

    question: Question
    encoding: Encoding = "json"
    limit: int | None = None
    offset: int = 0
    cursor: str | None = None
    size: int = Tabular.default_limit

    @classmethod
    def of(cls, query: Tabular, question: Question, accept: MIMEAccept) -> Page:
        """The page that a query asks for, as limit and offset or as page and page_size. Raises ProblemError."""
        limit = query.limit or query.page_size
        size = limit or query.default_limit
        if query.page:
            limit, offset = size, (query.page - 1) * size
        else:
            offset = query.offset
        cursor = query.cursor if isinstance(query, Followed) else None
        return cls(question, encodings.chosen(query.format, accept), limit, offset, cursor, size)

    def about(self, name: str) -> Page:
        """The same page of the question about one thing, by the one name that it has in cursors."""
        return replace(self, question=replace(self.question, about=name))

    @property
    def rows(self) -> int | None:
        """How many rows to read; None means all. In JSON one more than it shows, which tells whether there is a next page."""
        return self.size + 1 if self.encoding == "json" else self.limit

    @property
    def rows_needed(self) -> int | None:
        """The same with the rows that are skipped."""
        return None if self.rows is None else self.offset + self.rows

    def after(self, ends: Ends) -> tuple[Any, ...] | None:
        """The place after which the page begins, a value for each of `ends`; None without a cursor. Raises ProblemError."""
        return None if self.cursor is None else cursors.read(self.cursor, self.question, ends)
