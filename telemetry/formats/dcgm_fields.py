"""A dump of DCGM's fields, a line a value: `GPUId,TimeStampUs,Field,Values`, one reading a record.

docs/CSV_FORMATS.md is the specification. Times are microseconds since 1970, fields stand there by their tags, which
`telemetry.readings.dcgm_fields` knows. The file does not say its host: the settings of the source do.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np

from telemetry.formats.base import SAY_SO, Format, Pass
from telemetry.formats.combinations import Combinations
from telemetry.formats.dcgm_series import MAX_NAME_BYTES
from telemetry.formats.dcgm_values import parse_dcgm
from telemetry.formats.epochs import MICROSECONDS, each_epoch
from telemetry.formats.records import BLANKS, Records
from telemetry.formats.rows import Rows
from telemetry.formats.series_bound import SeriesBound
from telemetry.formats.wide import by_index
from telemetry.readings.catalogue import lookup
from telemetry.readings.dcgm_fields import BY_TAG, of_tag
from telemetry.readings.rows import BLANK, REASON_CODE
from telemetry.readings.source_settings import SourceSettings

GPU, TIME, FIELD, VALUE = HEADER = ("GPUId", "TimeStampUs", "Field", "Values")


@dataclass(slots=True)
class DcgmFields(Format):
    """The format under one header."""

    name: ClassVar = "dcgm-fields"
    version: ClassVar = 2
    known_by: ClassVar = "the columns GPUId, TimeStampUs, Field and Values"
    needs: ClassVar = "host"

    columns: list[str]
    settings: SourceSettings
    series: Combinations[tuple[str, int]] = field(init=False)
    bound: SeriesBound = field(init=False, default_factory=SeriesBound)

    def __post_init__(self) -> None:
        self.series = Combinations(self._series_of)

    @classmethod
    def of_header(cls, names: list[str], settings: SourceSettings) -> Self | None:
        """The format under a header of the four names in any order, if the settings name the host."""
        return cls(names, settings) if sorted(names) == sorted(HEADER) and settings.host else None

    @classmethod
    def miss(cls, names: list[str], settings: SourceSettings) -> str:
        """That the host must be named beside such a header."""
        if sorted(names) != sorted(HEADER) or settings.host:
            return ""
        return f"it is of {cls.name}, and it does not name its host: host{SAY_SO}"

    def read(self, taken: Records, block: bytes, how: Pass) -> Rows:
        """Give the records of a block their meaning: time before series before value."""
        gpus, times, fields, values = (taken.columns[self.columns.index(name)] for name in HEADER)
        meanings, codes = self.series.of([gpus, fields])
        series = self.bound.judged(meanings, how.limits.series)
        tags = fields.dictionary_encode()
        names = [tag.strip(BLANKS) for tag in tags.dictionary.to_pylist()]
        known = [(name in BY_TAG, lookup(of_tag(name)).kind == "counter") for name in names]
        must, counts = np.array(known, np.bool_).reshape(-1, 2)[tags.indices.to_numpy()].T
        late, ts_us = each_epoch(times, MICROSECONDS, how)
        numbers, blank, bad = parse_dcgm(values, counts)
        # A field that nobody listed may be a text.
        whole = np.where(blank | (bad & ~must), BLANK, np.where(bad, REASON_CODE["bad_value"], 0))
        unnamed = np.array([reason for _, reason in series], np.uint8)[codes]
        reasons = np.where(late > 0, late, np.where(unnamed > 0, unnamed, whole)).astype(np.uint8)
        texts = [text for text, _ in series]
        return Rows(block, texts, codes, reasons, ts_us, numbers, taken.starts, taken.ends, taken.lines, taken.malformed)

    def _series_of(self, cells: tuple[str, ...]) -> tuple[str, int]:
        key, reason = by_index(self.settings)(cells[:1])
        if not cells[1] or len(cells[1].encode()) > MAX_NAME_BYTES // 2:
            return "", REASON_CODE["long_name" if cells[1] else "no_metric"]
        return replace(key, metric=of_tag(cells[1])).text() if key else "", REASON_CODE[reason]
