"""The dcgm format: the CSV that a dcgm-exporter's metrics are dumped to, one reading a record.

docs/RECORDS.md is the specification. Here stand the header and a block as readings; which cells name a series is
`dcgm_series`, and which numbers say "no value" `dcgm_values`. Everything is computed a column at a time; only distinct cells
are looked at one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from telemetry.formats.base import ByLines, Pass
from telemetry.formats.combinations import Combinations
from telemetry.formats.dcgm_series import DEVICE, HOST, INDEX, METRIC, OF_GPU, UUID, named_series
from telemetry.formats.dcgm_values import parse_dcgm
from telemetry.formats.frames import MAX_FRAMES, Cells, Frames
from telemetry.formats.records import BLANKS, Records
from telemetry.formats.rows import Rows
from telemetry.formats.series_bound import SeriesBound
from telemetry.formats.timestamps import judge
from telemetry.readings.catalogue import lookup
from telemetry.readings.rows import BLANK, REASON_CODE, Codes, Flags
from telemetry.readings.source_settings import SourceSettings

TIMESTAMP, VALUE = "timestamp", "value"


OF_RIGHT = {METRIC, UUID, HOST, INDEX, DEVICE}


@dataclass(slots=True)
class Learnt:
    """What each frame says: its series, why it names none (0: it names one), whether its metric is a counter."""

    texts: list[str] = field(default_factory=list)
    reasons: list[int] = field(default_factory=list)
    counters: list[bool] = field(default_factory=list)


@dataclass(slots=True)
class Dcgm(ByLines):
    """The dcgm format under one header. Keeps the series and frames it has seen, so that each is worked out once."""

    name: ClassVar = "dcgm"
    # Raised whenever the same bytes are read differently, here or in a module this reads with: see `base`.
    version: ClassVar = 4
    known_by: ClassVar = "the columns timestamp, metric_name, value, and uuid or Hostname with gpu_id"

    columns: list[str]
    settings: SourceSettings
    frames: Frames
    series: Combinations[tuple[str, int]]
    learnt: Learnt = field(default_factory=Learnt)
    bound: SeriesBound = field(default_factory=SeriesBound)

    @classmethod
    def of_header(cls, names: list[str], settings: SourceSettings) -> Self | None:
        """The format under a header with a timestamp, a metric, a value and a GPU, no name twice; None for any other."""
        given = set(names)
        has_gpu = any(columns <= given for columns in OF_GPU)
        if len(given) < len(names) or not {TIMESTAMP, METRIC, VALUE} <= given or not has_gpu:
            return None
        low, high = sorted((names.index(TIMESTAMP), names.index(VALUE)))
        others = [name for name in names if name not in {TIMESTAMP, VALUE}]

        def meaning(cells: tuple[str, ...]) -> tuple[str, int]:
            text, reason = named_series(dict(zip(others, cells, strict=True)), settings)
            return text, REASON_CODE[reason]

        return cls(names, settings, Frames(len(names), low, high), Combinations(meaning))

    @classmethod
    def miss(cls, names: list[str], settings: SourceSettings) -> str:  # noqa: ARG003 - it says all by itself
        """What a header lacks that has most of these columns, or has them in other letters."""
        required = (TIMESTAMP, METRIC, VALUE)
        lower = {name.lower(): name for name in names}
        lacks = [name for name in required if name not in names]
        if not any(columns <= set(names) for columns in OF_GPU):
            lacks.append(f"{UUID} (or {HOST} and {INDEX})")
        if len(set(names)) < len(names):
            return "a column's name stands in its header twice" if not lacks else ""
        if any(name.lower() in lower for name in lacks):
            spelt = [f"{lower[name.lower()]!r} is spelt {name!r}" for name in lacks if name.lower() in lower]
            return f"its header is near to that of the {cls.name} format: there {', '.join(spelt)}"
        if METRIC not in names and VALUE not in names:
            return ""
        return f"its header lacks {', '.join(lacks)} of the {cls.name} format"

    def used(self) -> SourceSettings:
        """The labels, and which of the file's are kept."""
        return SourceSettings(labels=self.settings.labels, keep_exporter=self.settings.keep_exporter)

    @property
    def series_column(self) -> str:
        """The column that makes a new series of nearly each record, empty if none was seen to."""
        return self.bound.column

    def read(self, taken: Records, block: bytes, how: Pass) -> Rows:
        """Give the records of a block their meaning."""
        cells = dict(zip(self.columns, taken.columns, strict=True))
        texts, codes, reasons = self._series(cells, how.limits.series)
        column = cells[TIMESTAMP].dictionary_encode()
        times = Cells(column.dictionary.to_pylist(), column.indices.to_numpy())
        ts_us, values = _judge(reasons, times, cells[VALUE], _counters(cells[METRIC]), how)
        places = (taken.starts, taken.ends, taken.lines)
        return Rows(block, texts, codes, reasons, ts_us, values, *places, taken.malformed)

    def read_lines(self, block: bytes, max_record: int, how: Pass) -> Rows:
        """The records at the beginning of a block that are lines like others before; see `telemetry.formats.frames`."""
        if len(self.frames.known) > MAX_FRAMES:
            self.frames.known.clear()
            self.learnt = Learnt()
        lines = self.frames.find(block, max_record, lambda columns: self._learn(columns, how.limits.series))
        learnt = self.learnt
        reasons = np.array(learnt.reasons, np.uint8)[lines.frames]
        counters = np.array(learnt.counters, np.bool_)[lines.frames]
        time_first = self.columns.index(TIMESTAMP) < self.columns.index(VALUE)
        times, values = (lines.low, lines.high) if time_first else (lines.high, lines.low)
        column = pa.array(values.texts, pa.string()).take(pa.array(values.codes))
        ts_us, numbers = _judge(reasons, times, column, counters, how)
        places = (lines.bounds[:-1], lines.bounds[1:], np.arange(len(lines.frames)))
        return Rows(block, learnt.texts, lines.frames, reasons, ts_us, numbers, *places)

    def _learn(self, columns: list[pa.Array], limit: int) -> list[int]:
        cells = dict(zip(self.columns, columns, strict=True))
        texts, codes, reasons = self._series(cells, limit)
        learnt, first = self.learnt, len(self.learnt.texts)
        learnt.texts += [texts[code] for code in codes.tolist()]
        learnt.reasons += reasons.tolist()
        learnt.counters += _counters(cells[METRIC]).tolist()
        return list(range(first, len(learnt.texts)))

    def _series(self, cells: dict[str, pa.Array], limit: int) -> tuple[list[str], Codes, Flags]:
        """The distinct series' texts, each record's index among them, and each record's reason (0 for none)."""
        columns = {name: column for name, column in cells.items() if name not in {TIMESTAMP, VALUE}}
        meanings, codes = self.series.of(list(columns.values()))
        series = self.bound.judged(meanings, limit)
        # Of many GPUs or metrics there are many series, rightly.
        distinct = [0 if name in OF_RIGHT else count for name, count in zip(columns, self.series.distinct, strict=True)]
        self.bound.blame(list(columns), distinct, [text for text, _ in meanings])
        return [text for text, _ in series], codes, np.array([reason for _, reason in series], np.uint8)[codes]


def _counters(metrics: pa.Array) -> NDArray[np.bool_]:
    """Which records are of a metric that counts in 64 bits."""
    encoded = metrics.dictionary_encode()
    kinds = [lookup(name.strip(BLANKS)).kind == "counter" for name in encoded.dictionary.to_pylist()]
    counters: NDArray[np.bool_] = np.array(kinds, np.bool_)[encoded.indices.to_numpy()]
    return counters


def _judge(
    reasons: Flags, times: Cells, values: pa.Array, counters: NDArray[np.bool_], how: Pass
) -> tuple[Codes, NDArray[np.float64]]:
    """Times and values of records; enters into `reasons` what is wrong with them: time before series before value."""
    flags, instants = judge(times.texts, how)
    late = flags[times.codes]
    reasons[late > 0] = late[late > 0]
    numbers, blank, bad = parse_dcgm(values, counters)
    reasons[(reasons == 0) & blank] = BLANK
    reasons[(reasons == 0) & bad] = REASON_CODE["bad_value"]
    return instants[times.codes], numbers
