"""How many series a source may make, and which column makes too many.

A column that numbers the records, such as a data frame's index, makes a series of each. The bound keeps one such file from
filling the database with series. It counts from when the file was opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from telemetry.readings.rows import REASON_CODE
from telemetry.readings.series import SeriesKey

TOO_MANY = ("", REASON_CODE["too_many_series"])
# Of fewer series nothing is said, whatever makes them.
MANY = 1000


@dataclass(slots=True)
class SeriesBound:
    """The series that a source has made, by their texts, and the column to blame where it makes nearly all of them."""

    made: set[str] = field(default_factory=set)
    column: str = ""

    def judged(self, series: Sequence[tuple[str, int]], limit: int) -> list[tuple[str, int]]:
        """Series as (text, reason), those beyond the limit with `too_many_series` for their reason."""
        return [each if not each[0] or self._is_admitted(each[0], limit) else TOO_MANY for each in series]

    def admits(self, series: Iterable[str], limit: int, column: str) -> bool:
        """Count series that another process has made of the same source, and note the column that it blames.

        False if they are too many: then none is counted.
        """
        self.column = self.column or column
        made = self.made.union(series)
        if len(made) > limit:
            return False
        self.made = made
        return True

    def blame(self, names: Sequence[str], distinct: Sequence[int], series: Sequence[str]) -> None:
        """Note the column with the most distinct cells if some records make many series of each metric of each GPU.

        The first records of a large fleet make a series each, and so does a column that holds all labels of each: rightly.
        """
        if len(series) > MANY and not self.column:
            rightful = {(key.metric, key.gpu) for key in map(SeriesKey.from_text, filter(None, series))}
            most, name = max(zip(distinct, names, strict=True), default=(0, ""))
            self.column = name if most > len(series) / 2 and len(series) > 2 * len(rightful) else ""

    def _is_admitted(self, text: str, limit: int) -> bool:
        if text in self.made:
            return True
        if len(self.made) >= limit:
            return False
        self.made.add(text)
        return True
