"""Wide CSV whose header names series as Prometheus does: `Time`, then `DCGM_FI_DEV_GPU_TEMP{gpu="0",Hostname="n1"}` and so on.

Grafana's *Download CSV* of series joined by time is such a file. docs/CSV_FORMATS.md is the specification. The labels are read
as those of the dcgm format. Another reading of these bytes is a change of meaning: raise `Labelled.version`, as `base` says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, Self

import numpy as np

from telemetry.formats import labels
from telemetry.formats.base import Format, Pass
from telemetry.formats.dcgm_series import HOST, INDEX, LABELS, METRIC, UUID, named, named_series
from telemetry.formats.dcgm_values import sentinels
from telemetry.formats.local_times import BAD, judged, local_us
from telemetry.formats.mapped_values import Spelling, numbers
from telemetry.formats.moments import number_us
from telemetry.formats.records import BLANKS, Records
from telemetry.formats.rows import Rows
from telemetry.formats.series_bound import SeriesBound
from telemetry.readings.catalogue import lookup
from telemetry.readings.rows import BLANK
from telemetry.readings.source_settings import SourceSettings
from telemetry.readings.units import SAME, SPELLINGS

TIMES = {"time", "timestamp"}
SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)?[ \t]*(\{.*\})", re.DOTALL)
# Numbers of so many digits are seconds; longer ones are milliseconds, which have as many from 2001 on.
SECONDS = re.compile(r"\d{1,11}(?:\.\d*)?", re.ASCII)


class Column(NamedTuple):
    """A column: its metric, and the text of its series."""

    metric: str
    text: str


@dataclass(slots=True)
class Labelled(Format):
    """The format under one header, which names all its series."""

    name: ClassVar = "labelled"
    version: ClassVar = 2
    known_by: ClassVar = 'Time, then columns such as DCGM_FI_DEV_GPU_TEMP{gpu="0",Hostname="n1"}: Prometheus and Grafana'
    needs: ClassVar = "time_zone; host and gpu_index where the labels do not name the GPU"

    columns: list[str]
    settings: SourceSettings
    series: list[Column]
    bound: SeriesBound = field(default_factory=SeriesBound)

    @classmethod
    def of_header(cls, names: list[str], settings: SourceSettings) -> Self | None:
        """The format under a header with a time and series alone, each with a GPU, none twice; None for any other."""
        series = _series(names, settings)
        if isinstance(series, str) or not series or not settings.time_zone:
            return None
        return cls(names, settings, series)

    @classmethod
    def miss(cls, names: list[str], settings: SourceSettings) -> str:
        """What keeps a header of series from being read."""
        series = _series(names, settings)
        if not series:
            return ""
        lack = series if isinstance(series, str) else "its times may carry no zone: time_zone"
        return f"its columns are series of Prometheus, and {lack}; say so in the file that TELEMETRY_SOURCE_SETTINGS names"

    @property
    def readings_a_record(self) -> int:
        """One for each series."""
        return len(self.series)

    def read(self, taken: Records, block: bytes, how: Pass) -> Rows:
        """Give the records of a block their meaning."""
        width, count = len(self.series), len(taken.starts)
        judged_series = self.bound.judged([(column.text, 0) for column in self.series], how.limits.series)
        time = taken.columns[0].dictionary_encode()
        flags, instants = judged([self._moment_us(text) for text in time.dictionary.to_pylist()], how)
        late, ts_us = flags[time.indices.to_numpy()], instants[time.indices.to_numpy()]
        values, reasons = np.empty((count, width)), np.zeros((count, width), np.uint8)
        for n, column in enumerate(self.series):
            known = lookup(column.metric)
            spelling = Spelling(SPELLINGS.get(known.unit or "", ()), ".", "", frozenset())
            values[:, n], reasons[:, n] = numbers(taken.columns[n + 1], spelling, SAME)
            none = (reasons[:, n] == 0) & sentinels(values[:, n], np.full(count, known.kind == "counter"))
            reasons[none, n] = BLANK
            reasons[reasons[:, n] == 0, n] = judged_series[n][1]
        reasons[late > 0] = late[late > 0][:, None]
        codes, record_of = np.tile(np.arange(width), count), np.repeat(np.arange(count), width)
        texts, places = [text for text, _ in judged_series], (taken.starts, taken.ends, taken.lines, taken.malformed)
        return Rows(block, texts, codes, reasons.ravel(), np.repeat(ts_us, width), values.ravel(), *places, record_of)

    def _moment_us(self, text: str) -> tuple[int, int]:
        since_us, reason = local_us(text, self.settings.time_zone)
        if reason != BAD:
            return since_us, reason
        bare = text.strip(BLANKS)
        return number_us(bare, "epoch_s" if SECONDS.fullmatch(bare) else "epoch_ms", 0)


def _series(names: list[str], settings: SourceSettings) -> list[Column] | str:
    """The series that a header names, none of a header of another kind; or what it does not say, for people."""
    matches = [SELECTOR.fullmatch(name) for name in names[1:]]
    if not matches or None in matches or names[0].lower() not in TIMES:
        return []
    columns = []
    for name, match in zip(names[1:], matches, strict=True):
        assert match is not None, "there is none among them"  # noqa: S101
        pairs = labels.parse(match[2])
        if pairs is None:
            return f"the labels of {name!r} cannot be read"
        metric = match[1] or pairs.get("__name__", "")
        if not metric:
            return f"{name!r} names no metric: let the legend have it, or write a mapping (`telemetry formats suggest FILE`)"
        cells = {METRIC: metric, LABELS: match[2]}
        if settings.host and not named(pairs.get("Hostname")):
            cells[HOST] = settings.host
        if settings.gpu_index is not None and "gpu" not in pairs:
            cells[INDEX] = str(settings.gpu_index)
        text, reason = named_series(cells, settings)
        if reason == "no_gpu":
            return f"{name!r} names no GPU by {UUID.upper()}, or Hostname and gpu: host, gpu_index"
        if reason:
            return f"{name!r} is no series: {reason}"
        columns.append(Column(metric, text))
    return columns if len(set(names)) == len(names) else "one of its series stands there twice"
