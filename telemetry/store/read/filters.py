"""Conditions of a filter: a field that is None, or without any value, leaves all rows in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement

# One value, or several of which a row has one.
Some = str | Sequence[str] | None


def equal(*pairs: tuple[Any, Any]) -> list[ColumnElement[bool]]:
    """A condition for each (column, value) whose value is not None."""
    return [column == value for column, value in pairs if value is not None]


def among(column: Any, values: Some | Sequence[int]) -> list[ColumnElement[bool]]:
    """The condition that a column has one of some values; none at all without any."""
    if not values:
        return []
    return [column == values] if isinstance(values, str) else [column.in_(values)]
