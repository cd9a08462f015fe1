"""Models of rows that are made of something else: of the columns of a table, or of some fields of another model."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, create_model


def row_of(columns: Iterable[Any]) -> type[BaseModel]:
    """A model with a field for each labelled column of a table: its type, and null where the column may be null."""
    fields: dict[str, Any] = {}
    for column in columns:
        plain: Any = column.type.python_type
        fields[column.name] = (plain | None if column.element.nullable else plain, ...)
    return create_model("Row", **fields)


@lru_cache(maxsize=256)
def narrowed(model: type[BaseModel], names: tuple[str, ...]) -> type[BaseModel]:
    """A model with fields of these names: those of another one, and texts that may be null where that has none."""
    known = model.model_fields
    fields: dict[str, Any] = {
        name: (known[name].annotation, known[name]) if name in known else (str | None, None) for name in names
    }
    return create_model(model.__name__, **fields)
