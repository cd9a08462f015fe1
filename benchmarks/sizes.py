"""How much each case measures, and the same at another scale."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

# Below this there is nothing to measure.
LEAST = 200


@dataclass(frozen=True, slots=True)
class Sizes:
    """Rows, messages, edges and seconds. The defaults are those of `make bench`."""

    rows: int = 500_000
    small_rows: int = 200_000
    orm_rows: int = 30_000
    messages: int = 4_000

    def scaled(self, factor: float) -> Self:
        """The same times a factor."""
        return replace(self, **{each.name: max(LEAST, round(getattr(self, each.name) * factor)) for each in fields(self)})
