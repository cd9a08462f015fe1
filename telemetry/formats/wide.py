"""What formats share that have a column a metric: a reading for each cell that is a number.

A format says which column is which metric, which cells name the GPU, how its time stands there, and how a cell is a number.
Here this becomes the readings of a block. Another reading of the same cells is a change of meaning: raise the versions as
`telemetry.formats.base` says.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from telemetry.formats.base import Format, Pass
from telemetry.formats.combinations import Combinations
from telemetry.formats.dcgm_series import MAX_NAME_BYTES
from telemetry.formats.records import BLANKS, Records
from telemetry.formats.rows import Rows
from telemetry.formats.series_bound import SeriesBound
from telemetry.formats.values import parse_values
from telemetry.readings.arrays import Float64s
from telemetry.readings.rows import BLANK, REASON_CODE, Codes, Flags
from telemetry.readings.series import SeriesKey
from telemetry.readings.source_settings import SourceSettings

BAD_VALUE = REASON_CODE["bad_value"]
BAD_COLUMNS = REASON_CODE["bad_columns"]
TOO_MANY = REASON_CODE["too_many_series"]
INDEX = re.compile(r"\d{1,9}", re.ASCII)
BETWEEN_WORDS = "[ \t]+"
# Given the cells that name a GPU: it, as a series without a metric, or None and the reason why they name none.
Gpu = Callable[[tuple[str, ...]], tuple[SeriesKey | None, str]]


class Column(NamedTuple):
    """A column that is read: its place in the record, its metric, the unit of its cells.

    So many of that unit make one of the metric's: `per`. A cell of a column that is known must be a number. `labels` are those
    of this column's series alone.
    """

    place: int
    metric: str
    unit: str = ""
    is_known: bool = True
    per: float = 1.0
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class ByColumns(Format):
    """Such a format under one header, in which cells of a record, and what is said of a column, name the GPU of a reading.

    Keeps the GPUs it has seen, so that each is worked out once: the series of each column, as a text and 0, or as "" and the
    code of the reason why there is none.
    """

    columns: Sequence[str]
    settings: SourceSettings
    values: list[Column]
    # The places of the cells that name the GPU.
    of_gpu: list[int]
    gpus: Combinations[list[tuple[str, int]]] = field(init=False)
    bound: SeriesBound = field(init=False, default_factory=SeriesBound)

    def __post_init__(self) -> None:
        self.gpus = Combinations(self.series_of)

    @property
    def readings_a_record(self) -> int:
        """One for each column that is a measurement."""
        return len(self.values)

    @abstractmethod
    def times(self, cells: list[pa.Array], how: Pass) -> tuple[Flags, Codes]:
        """What is wrong with the time of each record, and its microseconds."""

    @abstractmethod
    def series_of(self, cells: tuple[str, ...]) -> list[tuple[str, int]]:
        """The series of each column by the cells that name a GPU."""

    def cells(self, taken: Records) -> tuple[list[pa.Array], Flags]:
        """The cells of some records by column, and which records have another number of them."""
        return taken.columns, np.zeros(len(taken.starts), np.uint8)

    def numbers(self, cells: pa.Array, column: Column) -> tuple[Float64s, Flags]:
        """The numbers in a column, and what is wrong with each."""
        values, blank, bad = parse_values(cells)
        reasons = np.where(blank, BLANK, np.where(bad, BAD_VALUE if column.is_known else BLANK, 0))
        return values / column.per, reasons.astype(np.uint8)

    def read(self, taken: Records, block: bytes, how: Pass) -> Rows:
        """Give the records of a block their meaning."""
        width, count = len(self.values), len(taken.starts)
        cells, odd = self.cells(taken)
        texts, faults, codes = self.series(cells, count, how.limits.series)
        late, ts_us = self.times(cells, how)
        parts = [self.numbers(cells[column.place], column) for column in self.values]
        numbers, reasons = (np.stack(each, axis=1) for each in zip(*parts, strict=True))
        series = codes[:, None] * width + np.arange(width)
        if faults.any():
            fault = faults[series]
            # Of what there are too many, only those count that would be stored.
            reasons = np.where((fault > 0) & ((fault != TOO_MANY) | (reasons == 0)), fault, reasons)
        whole = np.where(odd > 0, odd, late)
        reasons[whole > 0] = whole[whole > 0][:, None]
        record_of, ts_us = (np.repeat(each, width) for each in (np.arange(count), ts_us))
        places = (taken.starts, taken.ends, taken.lines, taken.malformed)
        return Rows(block, texts, series.ravel(), reasons.ravel(), ts_us, numbers.ravel(), *places, record_of)

    def series(self, cells: list[pa.Array], count: int, limit: int) -> tuple[list[str], Flags, Codes]:
        """The texts of the series of the distinct GPUs, why each is none, and each record's index among the GPUs."""
        meanings, codes = self.gpus.of([cells[place] for place in self.of_gpu] or [pa.array([""] * count)])
        judged = [each for of_gpu in meanings for each in self.bound.judged(of_gpu, limit)]
        return [text for text, _ in judged], np.array([reason for _, reason in judged], np.uint8), codes


@dataclass(slots=True)
class Wide(ByColumns):
    """Such a format whose records are of one GPU each."""

    gpu: Gpu

    def series_of(self, cells: tuple[str, ...]) -> list[tuple[str, int]]:
        """Those of the one GPU, or why there is none, once for each column."""
        key, reason = self.gpu(cells)
        if key is None:
            return [("", REASON_CODE[reason])] * len(self.values)
        keys = [replace(key, metric=column.metric, labels=key.labels | dict(column.labels)) for column in self.values]
        return [(each.text(), 0) for each in keys]


def by_index(settings: SourceSettings, prefix: str = "", labels: Sequence[str] = ()) -> Gpu:
    """The GPU with an index, which stands in the first cell behind a prefix, on the host of the settings.

    The cells after it are labels of these names.
    """

    def gpu(cells: tuple[str, ...]) -> tuple[SeriesKey | None, str]:
        index = cells[0].removeprefix(prefix).strip(BLANKS)
        if not settings.host or not cells[0].startswith(prefix) or not INDEX.fullmatch(index):
            return None, "no_gpu"
        if len(settings.host.encode()) > MAX_NAME_BYTES:
            return None, "long_name"
        named = {name: cell for name, cell in zip(labels, cells[1:], strict=False) if cell}
        return SeriesKey("", "", settings.host, int(index), "", "", dict(settings.labels) | named), ""

    return gpu


def words(lines: pa.Array, count: int) -> tuple[list[pa.Array], Flags]:
    """The columns of a table that has blanks between its words, and which lines have another number of words."""
    lists = pc.split_pattern_regex(pc.utf8_trim(lines, BLANKS), BETWEEN_WORDS)
    whole = pc.equal(pc.list_value_length(lists), count).to_numpy(zero_copy_only=False)
    flat = pc.list_flatten(lists.filter(pa.array(whole)))
    # Of a line with another number of words, none.
    places = np.where(whole, (np.cumsum(whole) - 1) * count, len(flat))
    flat = pa.concat_arrays([flat, pa.array([""] * count, pa.string())])
    columns = [flat.take(pa.array(places + n)) for n in range(count)]
    return columns, np.where(whole, 0, BAD_COLUMNS).astype(np.uint8)
