"""Models of rows that mirror a table: they are made of its columns, so that a new column needs no edit here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, create_model


def row_of(columns: Iterable[Any]) -> type[BaseModel]:
    """A model with a field for each labelled column of a table: its type, and null where the column may be null."""
    fields: dict[str, Any] = {}
    for column in columns:
        plain: Any = column.type.python_type
        fields[column.name] = (plain | None if column.element.nullable else plain, ...)
    return create_model("Row", **fields)
