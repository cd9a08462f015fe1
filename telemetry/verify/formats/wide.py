"""What readers share whose rows have a column a metric: a row to its readings, one a cell.

Which columns there are, which of them name the GPU and when a row is, each reader says.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from datetime import date, timedelta
from typing import NamedTuple

from telemetry.verify.formats.base import FormatReader, Reading, Rules, SeriesKey, remember
from telemetry.verify.formats.days import Days
from telemetry.verify.formats.dcgm import LONGEST_NAME
from telemetry.verify.formats.grammar import FIELD, Bytes, beginning, cells, grammar, text
from telemetry.verify.formats.values import number_in


class Measured(NamedTuple):
    """A column: where it stands, its metric, whether it must be a number, how many of its unit make one of the metric's."""

    place: int
    metric: str
    must: bool = True
    per: float = 1.0


class WideReader(FormatReader):
    """Such a format under one header of so many cells. `measured` are the columns to read."""

    # Whether its times carry no date.
    counts_days = False

    def __init__(self, count: int, measured: list[Measured], rules: Rules) -> None:
        self.pattern = re.compile(rb"(?!\r?\n)((?:%b,){%d}%b)" % (FIELD, count - 1, FIELD) + grammar(",").end)
        self.rules, self._measured = rules, measured
        self._times: dict[str, int | str] = {}
        self._days: Days | None = None
        self._day = 0
        self._keys: dict[tuple[str, str, tuple[tuple[str, str], ...]], SeriesKey] = {}

    @abstractmethod
    def stamp(self, row: list[str]) -> str:
        """The text that says when a row is."""

    @abstractmethod
    def moment(self, stamp: str) -> int | str | None:
        """The microseconds of such a text, the reason why it has none, or None for `bad_timestamp`."""

    @abstractmethod
    def gpu(self, row: list[str]) -> str:
        """Which GPU a row is about, or the reason why it is about none."""

    def comes_to(self, data: Bytes, at: int) -> None:
        """Counts the days, where times carry none."""
        if self.counts_days:
            self._days = self._days or Days(beginning(data))
            self._day = self._days.of(data, at)

    def today(self) -> str:
        """The date of the row that is read."""
        return (date.fromisoformat(self.rules.source.date) + timedelta(days=self._day)).isoformat()

    def row(self, raw: bytes) -> list[str] | None:
        """The cells of a record, None if it has another number of them."""
        return [text(cell) for cell in cells(raw)]

    def labels(self, row: list[str]) -> dict[str, str]:
        """The labels that a row carries; those without a text are none."""
        return {}

    def series(self, gpu: str, metric: str, *labels: tuple[str, str]) -> SeriesKey:
        """The series of a GPU and a metric under some labels, and those that the settings add."""
        known = self._keys.get((gpu, metric, labels))
        if known is None:
            named = dict(self.rules.source.labels) | {name: value for name, value in labels if value}
            known = remember(self._keys, (gpu, metric, labels), self.rules.series(gpu, metric, named))
        return known

    def number(self, cell: str) -> float | str:
        """The number in a cell, `blank`, or `bad_value`."""
        return number_in(cell.encode())

    def read(self, pieces: tuple[bytes, ...]) -> list[Reading]:
        """What the row says."""
        row = self.row(pieces[0])
        if row is None:
            return [Reading("bad_columns")]
        stamp = self.stamp(row)
        ts = self._times.get(stamp)
        if ts is None:
            moment = self.moment(stamp)
            ts = remember(self._times, stamp, moment if isinstance(moment, str) else self.rules.judged(moment))
        if isinstance(ts, str):
            return [Reading(ts)]
        gpu = self.gpu(row)
        if gpu in ("no_gpu", "long_name"):
            return [Reading(gpu)]
        labels = tuple(self.labels(row).items())
        return [each for column in self._measured for each in self.readings(row[column.place], gpu, ts, column, labels)]

    def by_index(self, cell: str) -> str:
        """The GPU with this index on the host of the settings."""
        return index_on_host(cell, self.rules)

    def readings(self, cell: str, gpu: str, ts: int, column: Measured, labels: tuple[tuple[str, str], ...]) -> list[Reading]:
        """What a cell of a column says: one reading, unless a format has more in it."""
        key = self.series(gpu, column.metric, *labels)
        value = self.number(cell)
        if isinstance(value, str):
            return [Reading(value if column.must else "blank", key, ts)]
        return [Reading("", key, ts, value / column.per)]


def index_on_host(cell: str, rules: Rules) -> str:
    """The GPU with an index on the host of the settings, or `no_gpu` or `long_name`."""
    host = rules.source.host
    if not host or not re.fullmatch(r"[0-9]{1,9}", cell):
        return "no_gpu"
    return "long_name" if len(host.encode()) > LONGEST_NAME else f"{host}:{int(cell)}"


def words(line: str) -> list[str]:
    """What stands between the blanks of a line."""
    return [word for word in re.split(r"[ \t]", line) if word]
