"""A format with a column a metric, as small as a format can be: what a new one has to say, and nothing else.

Its header is `time`, `gpu`, and the names of metrics. A header that comes again in the file says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import pyarrow.compute as pc

from telemetry.formats.base import Format, Pass
from telemetry.formats.records import BLANKS, Records
from telemetry.formats.rows import Rows
from telemetry.formats.timestamps import judge
from telemetry.formats.values import parse_values
from telemetry.readings.rows import BLANK, REASON_CODE
from telemetry.readings.series import SeriesKey
from telemetry.readings.source_settings import SourceSettings


@dataclass(slots=True)
class ToyWide(Format):
    """The toy format under one header."""

    name: ClassVar = "toy-wide"
    version: ClassVar = 1

    columns: list[str]
    settings: SourceSettings

    @classmethod
    def of_header(cls, names: list[str], settings: SourceSettings) -> Self | None:
        return cls(names, settings) if names[:2] == ["time", "gpu"] and len(names) > 2 else None

    @property
    def readings_a_record(self) -> int:
        return len(self.columns) - 2

    def read(self, taken: Records, block: bytes, how: Pass) -> Rows:
        metrics, width = self.columns[2:], self.readings_a_record
        time, gpu = (column.dictionary_encode() for column in taken.columns[:2])
        gpus = [cell.strip(BLANKS) for cell in gpu.dictionary.to_pylist()]
        texts = [SeriesKey(metric, name, "", None, "", "", {}).text() for name in gpus for metric in metrics]
        codes = gpu.indices.to_numpy()[:, None] * width + np.arange(width)
        numbers, blank, bad = (np.stack(parts, axis=1) for parts in zip(*map(parse_values, taken.columns[2:]), strict=True))
        reasons = np.where(blank, BLANK, np.where(bad, REASON_CODE["bad_value"], 0)).astype(np.uint8)
        flags, instants = judge(time.dictionary.to_pylist(), how)
        late, nameless = flags[time.indices.to_numpy()], np.array([not name for name in gpus], np.bool_)[gpu.indices]
        reasons[nameless] = REASON_CODE["no_gpu"]
        reasons[late > 0] = late[late > 0][:, None]
        says = np.repeat(~pc.equal(pc.utf8_trim(taken.columns[0], BLANKS), "time").to_numpy(zero_copy_only=False), width)
        record_of, ts_us = (np.repeat(each, width) for each in (np.arange(len(late)), instants[time.indices]))
        codes, reasons, ts_us, numbers = (each.ravel()[says] for each in (codes, reasons, ts_us, numbers))
        places = (taken.starts, taken.ends, taken.lines, taken.malformed)
        return Rows(block, texts, codes, reasons, ts_us, numbers, *places, record_of[says])
