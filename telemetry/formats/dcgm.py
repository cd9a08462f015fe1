"""The CSV a dcgm-exporter is dumped to: which columns mean what, and what a record says as a reading.

docs/RECORDS.md is the specification. Everything is computed a column at a time; only distinct
cells are looked at one by one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from telemetry.formats import labels as label_sets
from telemetry.formats.lines import MAX_FRAMES, Cells, Frames
from telemetry.formats.records import Records
from telemetry.formats.rows import Rows
from telemetry.formats.timestamps import parse_us
from telemetry.formats.values import parse_values
from telemetry.readings.catalogue import lookup
from telemetry.readings.rows import BLANK, REASON_CODE, Codes, Flags
from telemetry.readings.series import SeriesKey

NAME, VERSION = "dcgm", 2

TIMESTAMP, METRIC, VALUE, LABELS = "timestamp", "metric_name", "value", "labels_raw"
UUID, HOST, INDEX, DEVICE, MODEL = "uuid", "Hostname", "gpu_id", "device", "modelName"
ATTRIBUTION = ("container", "pod", "namespace")
KNOWN = {TIMESTAMP, METRIC, VALUE, LABELS, UUID, HOST, INDEX, DEVICE, MODEL, *ATTRIBUTION}
# Names that say again what a column says; and an extra column without a name, such as a data frame's index, says nothing.
REPEATED = {"", "__name__", "UUID", "gpu", "device", "modelName", "Hostname"}

MAX_CACHED_SERIES = 100_000
BLANKS = " \t"
INDEX_TEXT = re.compile(r"\d{1,9}", re.ASCII)
MAX_CODES = 1 << 31
# Of metric, UUID and host, as UTF-8: they are keys, and an index of Postgres takes no longer ones than some 2,700 bytes.
MAX_NAME_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Timestamps that are believed: from `floor_us` (since 1970) up to `future_us` after the time of reading."""

    floor_us: int
    future_us: int

    def interpretation(self) -> str:
        """How this format reads bytes: part of a batch's identity, so that another reading is another batch."""
        return f"{NAME}/{VERSION};floor={self.floor_us};future={self.future_us}"


@dataclass(frozen=True, slots=True)
class Pass:
    """How times are read: what is believed, at which time of reading, and what a replay adds to each."""

    limits: Limits
    now_us: int
    shift_us: int = 0


@dataclass(slots=True)
class Learnt:
    """What the frames of lines say: series text, why they name none (0: they do), whether the metric is a counter."""

    texts: list[str] = field(default_factory=list)
    reasons: list[int] = field(default_factory=list)
    counters: list[bool] = field(default_factory=list)


@dataclass(slots=True)
class Format:
    """The dcgm format of one header. Keeps the series it has seen, so that each is worked out once."""

    columns: list[str]
    frames: Frames
    seen: dict[tuple[str, ...], tuple[str, str]] = field(default_factory=dict)
    learnt: Learnt = field(default_factory=Learnt)

    @classmethod
    def of_header(cls, cells: list[bytes]) -> Format | None:
        """The format a header promises, None if it is no dcgm header."""
        try:
            names = [cell.decode().strip(BLANKS) for cell in cells]
        except UnicodeDecodeError:
            return None
        given = set(names)
        has_gpu = UUID in given or {HOST, INDEX} <= given
        if "\0" in "".join(names) or len(given) < len(names) or not {TIMESTAMP, METRIC, VALUE} <= given or not has_gpu:
            return None
        low, high = sorted((names.index(TIMESTAMP), names.index(VALUE)))
        return cls(names, Frames(len(names), low, high))

    def read(self, records: Records, block: bytes, how: Pass) -> Rows:
        """Give the records of a block their meaning."""
        cells = dict(zip(self.columns, records.columns, strict=True))
        texts, codes, reasons = self._series(cells)
        column = cells[TIMESTAMP].dictionary_encode()
        times = Cells(column.dictionary.to_pylist(), column.indices.to_numpy())
        ts_us, values = _judge(reasons, times, cells[VALUE], self._counters(cells[METRIC]), how)
        places = (records.starts, records.ends, records.lines)
        return Rows(block, texts, codes, reasons, ts_us, values, *places, records.malformed)

    def read_lines(self, block: bytes, max_record: int, how: Pass) -> Rows:
        """The rows at the beginning of a block that are lines like others before; see `telemetry.formats.lines`."""
        if len(self.frames.known) > MAX_FRAMES:
            self.frames.known.clear()
            self.learnt = Learnt()
        found = self.frames.find(block, max_record, self._learn)
        learnt = self.learnt
        reasons = np.array(learnt.reasons, np.uint8)[found.frames]
        counters = np.array(learnt.counters, np.bool_)[found.frames]
        times, values = (found.low, found.high) if self._time_first() else (found.high, found.low)
        column = pa.array(values.texts, pa.string()).take(pa.array(values.codes))
        ts_us, numbers = _judge(reasons, times, column, counters, how)
        count = len(found.frames)
        return Rows(
            block, learnt.texts, found.frames, reasons, ts_us, numbers, found.bounds[:-1], found.bounds[1:], np.arange(count)
        )

    def _time_first(self) -> bool:
        return self.columns.index(TIMESTAMP) < self.columns.index(VALUE)

    def _learn(self, columns: list[pa.Array]) -> list[int]:
        cells = dict(zip(self.columns, columns, strict=True))
        texts, codes, reasons = self._series(cells)
        learnt, first = self.learnt, len(self.learnt.texts)
        learnt.texts += [texts[code] for code in codes.tolist()]
        learnt.reasons += reasons.tolist()
        learnt.counters += self._counters(cells[METRIC]).tolist()
        return list(range(first, len(learnt.texts)))

    def _counters(self, metrics: pa.Array) -> NDArray[np.bool_]:
        encoded = metrics.dictionary_encode()
        kinds = [lookup(name.strip(BLANKS)).kind == "counter" for name in encoded.dictionary.to_pylist()]
        flags: NDArray[np.bool_] = np.array(kinds, np.bool_)[encoded.indices.to_numpy()]
        return flags

    def _series(self, cells: dict[str, pa.Array]) -> tuple[list[str], Codes, Flags]:
        """The distinct series' texts, each record's index among them, and each record's reason (0 for none)."""
        names = [name for name in self.columns if name not in {TIMESTAMP, VALUE}]
        encoded = [cells[name].dictionary_encode() for name in names]
        combined = np.zeros(len(cells[METRIC]), np.int64)
        for column in encoded:
            combined = combined * len(column.dictionary) + column.indices.to_numpy()
            if combined.max(initial=0) >= MAX_CODES:
                combined = np.unique(combined, return_inverse=True)[1].astype(np.int64)
        _, first, codes = np.unique(combined, return_index=True, return_inverse=True)
        picked = [column.take(pa.array(first)).to_pylist() for column in encoded]
        found = [self._one_series(names, row) for row in zip(*picked, strict=True)]
        flags = np.array([REASON_CODE[reason] for _, reason in found], np.uint8)
        return [text for text, _ in found], codes.astype(np.int64), flags[codes]

    def _one_series(self, names: list[str], row: tuple[str, ...]) -> tuple[str, str]:
        known = self.seen.get(row)
        if known is None:
            if len(self.seen) >= MAX_CACHED_SERIES:
                self.seen.clear()
            stripped = (cell.strip(BLANKS) for cell in row)
            known = self.seen[row] = _series_text(dict(zip(names, stripped, strict=True)))
        return known


def _series_text(cells: dict[str, str]) -> tuple[str, str]:
    """The text of the series that a record's cells name, or the reason why they name none."""
    pairs = label_sets.parse(cells.get(LABELS, ""))
    told = pairs or {}
    metric = cells[METRIC]
    uuid = cells.get(UUID) or told.get("UUID", "")
    host = cells.get(HOST) or told.get("Hostname", "")
    index = cells.get(INDEX) or told.get("gpu", "")
    number = int(index) if INDEX_TEXT.fullmatch(index) else None
    if not metric:
        return "", "no_metric"
    if not uuid and (not host or number is None):
        return "", "no_gpu"
    if any(len(name.encode()) > MAX_NAME_BYTES for name in (metric, uuid, host)):
        return "", "long_name"
    if pairs is None:
        return "", "bad_labels"
    columns = {name: value for name, value in cells.items() if value and (name not in KNOWN or name in ATTRIBUTION)}
    labels = {name: value for name, value in (told | columns).items() if value and name not in REPEATED}
    device, model = (cells.get(name) or told.get(name, "") for name in (DEVICE, MODEL))
    return SeriesKey(metric, uuid, host, number, device, model, labels).text(), ""


@lru_cache(maxsize=65_536)
def _instant(text: str) -> int | None:
    return parse_us(text.strip(BLANKS))


def _judge(
    reasons: Flags, times: Cells, values: pa.Array, counters: NDArray[np.bool_], how: Pass
) -> tuple[Codes, NDArray[np.float64]]:
    """Times and values of rows; enters into `reasons` what is wrong with them: time before series before value."""
    flags, instants = _instants(times.texts, how)
    late = flags[times.codes]
    reasons[late > 0] = late[late > 0]
    numbers, blank, bad = parse_values(values, counters)
    reasons[(reasons == 0) & blank] = BLANK
    reasons[(reasons == 0) & bad] = REASON_CODE["bad_value"]
    return instants[times.codes], numbers


def _instants(texts: list[str], how: Pass) -> tuple[Flags, Codes]:
    parsed = [_instant(text) for text in texts]
    instants = np.array([0 if us is None else us + how.shift_us for us in parsed], np.int64)
    flags = np.zeros(len(parsed), np.uint8)
    flags[instants > how.now_us + how.limits.future_us] = REASON_CODE["too_new"]
    flags[instants < how.limits.floor_us] = REASON_CODE["too_old"]
    flags[np.array([us is None for us in parsed], np.bool_)] = REASON_CODE["bad_timestamp"]
    return flags, instants
