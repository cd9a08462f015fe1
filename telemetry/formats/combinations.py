"""Works out what a combination of cells means, once for each combination: the cells that name a series repeat by the thousand.

Owns the counting of combinations and the memory of what they mean. What they mean is the format's to say, and so is its
version: see `telemetry.formats.base`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa

from telemetry.formats.records import BLANKS
from telemetry.readings.rows import Codes

T = TypeVar("T")

MAX_REMEMBERED = 100_000
# Numbers of combinations stay below this, so that the next column's factor cannot overflow 64 bits.
MAX_CODES = 1 << 31


@dataclass(slots=True)
class Combinations(Generic[T]):
    """What combinations of cells mean: `meaning` is given the cells stripped of blanks, in the order of the columns."""

    meaning: Callable[[tuple[str, ...]], T]
    # How many distinct cells each column had in the records that were asked about last.
    distinct: list[int] = field(default_factory=list)
    _known: dict[tuple[str, ...], T] = field(default_factory=dict)

    def of(self, columns: Sequence[pa.Array]) -> tuple[list[T], Codes]:
        """The meanings of the distinct combinations in some columns (at least one), and each record's index among them."""
        encoded = [column.dictionary_encode() for column in columns]
        self.distinct = [len(column.dictionary) for column in encoded]
        combined = np.zeros(len(columns[0]), np.int64)
        for column in encoded:
            combined = combined * len(column.dictionary) + column.indices.to_numpy()
            if combined.max(initial=0) >= MAX_CODES:
                combined = np.unique(combined, return_inverse=True)[1].astype(np.int64)
        _, first, codes = np.unique(combined, return_index=True, return_inverse=True)
        cells = [column.take(pa.array(first)).to_pylist() for column in encoded]
        return [self._one(row) for row in zip(*cells, strict=True)], codes.astype(np.int64)

    def _one(self, cells: tuple[str, ...]) -> T:
        if cells not in self._known:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            self._known[cells] = self.meaning(tuple(cell.strip(BLANKS) for cell in cells))
        return self._known[cells]
