"""Places in a list that is ordered by time: where one page ended and the next begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, literal, or_, tuple_

Order = Literal["asc", "desc"]


@dataclass(frozen=True, slots=True)
class Place:
    """The last row of a page: its time, and the values that order the rows of one time (always ascending)."""

    time: datetime
    ties: tuple[str | int, ...]

    def passed_by(self, time: Any, ties: Sequence[Any], order: Order) -> ColumnElement[bool]:
        """The condition that a row, given by its time column and its tie columns, comes after this place."""
        reached, beyond = (time >= self.time, time > self.time) if order == "asc" else (time <= self.time, time < self.time)
        # `reached` follows from the rest, but Postgres can use an index for it.
        return and_(reached, or_(beyond, tuple_(*ties) > tuple_(*map(literal, self.ties))))
