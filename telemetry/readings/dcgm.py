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

from telemetry.readings import labels as label_sets
from telemetry.readings.catalogue import lookup
from telemetry.readings.records import MAX_KEPT_BYTES, Records, line_end_length
from telemetry.readings.series import SeriesKey
from telemetry.readings.timestamps import parse_us
from telemetry.readings.values import parse_values

NAME, VERSION = "dcgm", 1

TIMESTAMP, METRIC, VALUE, LABELS = "timestamp", "metric_name", "value", "labels_raw"
UUID, HOST, INDEX, DEVICE, MODEL = "uuid", "Hostname", "gpu_id", "device", "modelName"
ATTRIBUTION = ("container", "pod", "namespace")
KNOWN = {TIMESTAMP, METRIC, VALUE, LABELS, UUID, HOST, INDEX, DEVICE, MODEL, *ATTRIBUTION}
# Names that say again what a column says; and an extra column without a name, such as a data frame's index, says nothing.
REPEATED = {"", "__name__", "UUID", "gpu", "device", "modelName", "Hostname"}

REASONS = ("", "bad_timestamp", "too_old", "too_new", "no_metric", "no_gpu", "bad_labels", "blank", "bad_value")
REASON_CODE = {reason: code for code, reason in enumerate(REASONS)}
MAX_CACHED_SERIES = 100_000
BLANKS = " \t"
INDEX_TEXT = re.compile(r"\d{1,9}", re.ASCII)
MAX_CODES = 1 << 31

Codes = NDArray[np.int64]
Flags = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Limits:
    """Timestamps that are believed: from `floor_us` (since 1970) up to `future_us` after the time of reading."""

    floor_us: int
    future_us: int

    def interpretation(self) -> str:
        """How this format reads bytes: part of a batch's identity, so that another reading is another batch."""
        return f"{NAME}/{VERSION};floor={self.floor_us};future={self.future_us}"


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """A row that is no reading: byte offset and line (from 1) in the source, the reason, the bytes kept of it."""

    offset: int
    line: int
    reason: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Readings:
    """The rows of a batch. `codes`, `ts_us` and `values` have an entry a reading; codes point into `series` (texts)."""

    series: list[str]
    codes: Codes
    ts_us: Codes
    values: NDArray[np.float64]
    blank: int
    quarantined: list[QuarantinedRow]

    @classmethod
    def of_quarantined(cls, rows: list[QuarantinedRow]) -> Readings:
        """Rows none of which is a reading."""
        none = np.empty(0, np.int64)
        return cls([], none, none, np.empty(0, np.float64), 0, rows)

    @property
    def rows(self) -> int:
        """Rows of every class."""
        return len(self.codes) + self.blank + len(self.quarantined)


@dataclass(slots=True)
class Format:
    """The dcgm format of one header. Keeps the series it has seen, so that each is worked out once."""

    columns: list[str]
    seen: dict[tuple[str, ...], tuple[str, str]] = field(default_factory=dict)

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
        return cls(names)

    def first_timestamp_us(self, records: Records) -> int | None:
        """The time of the first record, where a replay begins; None if it has none."""
        column = records.columns[self.columns.index(TIMESTAMP)]
        return _instant(column[0].as_py()) if len(column) else None

    def read(
        self, records: Records, block: bytes, *, offset: int, line: int, now_us: int, limits: Limits, shift_us: int = 0
    ) -> Readings:
        """Give the records of a block their meaning.

        `offset` and `line` (from 1) are where the block begins in the source, `now_us` is the time of reading,
        `shift_us` is added to every timestamp (a replay).
        """
        cells = dict(zip(self.columns, records.columns, strict=True))
        reasons, ts_us = _timestamps(cells[TIMESTAMP], now_us, limits, shift_us)
        texts, codes, series_reasons = self._series(cells)
        reasons = np.where(reasons > 0, reasons, series_reasons)
        values, blank, bad = parse_values(cells[VALUE], self._counters(cells[METRIC]))
        reasons[(reasons == 0) & blank] = REASON_CODE["blank"]
        reasons[(reasons == 0) & bad] = REASON_CODE["bad_value"]
        good = reasons == 0
        used, codes = np.unique(codes[good], return_inverse=True)
        return Readings(
            series=[texts[n] for n in used],
            codes=codes,
            ts_us=ts_us[good],
            values=values[good],
            blank=int((reasons == REASON_CODE["blank"]).sum()),
            quarantined=_quarantined(records, block, reasons, offset, line),
        )

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
    if pairs is None:
        # Before the GPU is looked for: it may stand in the labels.
        return "", "no_gpu" if not uuid and (not host or number is None) else "bad_labels"
    if not uuid and (not host or number is None):
        return "", "no_gpu"
    columns = {name: value for name, value in cells.items() if value and (name not in KNOWN or name in ATTRIBUTION)}
    labels = {name: value for name, value in (told | columns).items() if value and name not in REPEATED}
    device, model = (cells.get(name) or told.get(name, "") for name in (DEVICE, MODEL))
    return SeriesKey(metric, uuid, host, number, device, model, labels).text(), ""


@lru_cache(maxsize=65_536)
def _instant(text: str) -> int | None:
    return parse_us(text.strip(BLANKS))


def _timestamps(column: pa.Array, now_us: int, limits: Limits, shift_us: int) -> tuple[Flags, Codes]:
    encoded = column.dictionary_encode()
    parsed = [_instant(text) for text in encoded.dictionary.to_pylist()]
    instants = np.array([0 if us is None else us + shift_us for us in parsed], np.int64)
    flags = np.zeros(len(parsed), np.uint8)
    flags[instants > now_us + limits.future_us] = REASON_CODE["too_new"]
    flags[instants < limits.floor_us] = REASON_CODE["too_old"]
    flags[np.array([us is None for us in parsed], np.bool_)] = REASON_CODE["bad_timestamp"]
    indices = encoded.indices.to_numpy()
    return flags[indices], instants[indices]


def _quarantined(records: Records, block: bytes, reasons: Flags, offset: int, line: int) -> list[QuarantinedRow]:
    rows = [
        QuarantinedRow(offset + bad.start, line + bad.line, bad.reason, kept(block[bad.start : bad.end]))
        for bad in records.malformed
    ]
    for n in np.flatnonzero((reasons > 0) & (reasons != REASON_CODE["blank"])):
        start, end = int(records.starts[n]), int(records.ends[n])
        reason = REASONS[reasons[n]]
        rows.append(QuarantinedRow(offset + start, line + int(records.lines[n]), reason, kept(block[start:end])))
    return sorted(rows, key=lambda row: row.offset)


def kept(row: bytes) -> bytes:
    """What the quarantine keeps of a row: its bytes without the line end, at most MAX_KEPT_BYTES."""
    return row[: len(row) - line_end_length(row)][:MAX_KEPT_BYTES]
