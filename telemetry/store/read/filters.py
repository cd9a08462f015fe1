"""Conditions of a filter: a field that is None, or an empty list, leaves all rows in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement


def equal(*pairs: tuple[Any, Any]) -> list[ColumnElement[bool]]:
    """A condition for each (column, value) whose value is not None."""
    return [column == value for column, value in pairs if value is not None]


def among(column: Any, values: Sequence[Any]) -> list[ColumnElement[bool]]:
    """The condition that a column has one of some values; none at all if the list is empty."""
    return [column.in_(values)] if values else []
