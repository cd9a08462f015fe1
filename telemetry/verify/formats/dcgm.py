"""Reads the dump of a dcgm-exporter: a row to its series, time and value, or to the reason it has none.

Owns which columns the format has, which GPU and which labels make a series, and DCGM's part in the order of reasons.
"""

from __future__ import annotations

import re
from typing import ClassVar, Self

from telemetry.readings.catalogue import lookup
from telemetry.verify.formats import labels, timestamps
from telemetry.verify.formats.base import FormatReader, Reading, Rules, SeriesKey, remember
from telemetry.verify.formats.grammar import FIELD, cells, grammar, text, unquoted
from telemetry.verify.formats.values import number

LONGEST_NAME = 1024

_PLACES = ("container", "pod", "namespace")
_KNOWN = frozenset(
    {
        *("timestamp", "metric_name", "gpu_id", "device", "uuid", "modelName", "Hostname", "value", "labels_raw"),
        *_PLACES,
    }
)
_REPEATED = frozenset({"", "__name__", "UUID", "gpu", "device", "modelName", "Hostname"})
_ROW_NUMBERS = re.compile(r"index|level_[0-9]+|Unnamed: [0-9]+")
# Written where a UUID or a host is not known.
_PLACEHOLDERS = frozenset(
    {"n/a", "unknown", "unknown error", "not supported", "none", "null", "nan"},
)
_ZEROS = frozenset(f"{kind}-00000000-0000-0000-0000-000000000000" for kind in ("gpu", "mig"))

# BLANK, NOT_FOUND, NOT_SUPPORTED and NOT_PERMISSIONED of dcgm_structs.h; those of 32 bits are numbers where a counter counts.
_SENTINELS_32 = frozenset(float(2147483632 + n) for n in range(4))
_SENTINELS = frozenset({2.0**63, *(float(140737488355328 + n) for n in range(4))})


class DcgmReader(FormatReader):
    """The dcgm format under one header. Cells that repeat from row to row are understood once."""

    name: ClassVar = "dcgm"
    version: ClassVar = 4

    def __init__(self, names: tuple[str, ...], rules: Rules) -> None:
        low, high = sorted((names.index("timestamp"), names.index("value")))
        runs = (low, high - low - 1, len(names) - high - 1)
        # Timestamp and value, and the raw runs of fields around them, which repeat from row to row: a good key of a cache.
        fields = rb"((?:%b,){%d})(%b),((?:%b,){%d})(%b)((?:,%b){%d})" % (
            *(FIELD, runs[0], FIELD),
            *(FIELD, runs[1], FIELD),
            *(FIELD, runs[2]),
        )
        self.pattern = re.compile(fields + grammar(",").end)
        self._stamp_first = names[low] == "timestamp"
        self._others = [name for name in names if name not in ("timestamp", "value")]
        self._rules = rules
        self._times: dict[bytes, int | str] = {}
        self._series: dict[tuple[bytes, bytes, bytes], tuple[SeriesKey, bool] | str] = {}

    @classmethod
    def of_header(cls, names: tuple[str, ...], rules: Rules) -> Self | None:
        """The reader under a header with a time, a metric, a value and a GPU, no name twice."""
        known = set(names)
        has_gpu = "uuid" in known or {"Hostname", "gpu_id"} <= known
        if len(known) < len(names) or not has_gpu or not {"timestamp", "metric_name", "value"} <= known:
            return None
        return cls(names, rules)

    def read(self, pieces: tuple[bytes, ...]) -> tuple[Reading]:
        """What the row says."""
        before, first, between, second, after = pieces
        stamp, value = (first, second) if self._stamp_first else (second, first)
        return (self._reading(stamp, (before, between, after), value),)

    def cells(self, before: bytes, between: bytes, after: bytes) -> dict[str, str]:
        """The cells around timestamp and value, by column; the three runs end and begin with a comma where they meet a cell."""
        raw = cells(before + between + after[1:])[: len(self._others)]
        return {name: text(cell) for name, cell in zip(self._others, raw, strict=True)}

    def _reading(self, stamp: bytes, rest: tuple[bytes, bytes, bytes], raw: bytes) -> Reading:
        ts = self._times.get(stamp)
        if ts is None:
            parsed = timestamps.microseconds(unquoted(stamp).strip(b" \t"))
            ts = remember(self._times, stamp, self._rules.judged(parsed))
        if isinstance(ts, str):
            return Reading(ts)
        series = self._series.get(rest)
        if series is None:
            series = remember(self._series, rest, identity(self.cells(*rest), self._rules))
        if isinstance(series, str):
            return Reading(series)
        key, is_counter = series
        value = without_sentinels(number(raw), is_counter=is_counter)
        return Reading(value, key, ts) if isinstance(value, str) else Reading("", key, ts, value)


def is_none(value: float, *, is_counter: bool) -> bool:
    """Whether a number says that there is no value."""
    return value in _SENTINELS or (not is_counter and value in _SENTINELS_32)


def identity(given: dict[str, str], rules: Rules) -> tuple[SeriesKey, bool] | str:
    """The series that cells name, by column, and whether it counts; or the reason why they name none."""
    metric = given["metric_name"]
    if not metric:
        return "no_metric"
    pairs = labels.parse(given.get("labels_raw", ""))
    gpu = _gpu(given, pairs or {})
    if gpu is None:
        return "no_gpu"
    names = (metric, _named(given, pairs or {}, "uuid", "UUID"), _named(given, pairs or {}, "Hostname", "Hostname"))
    if max(len(name.encode()) for name in names) > LONGEST_NAME:
        return "long_name"
    if pairs is None:
        return "bad_labels"
    named = {name: cell for name, cell in given.items() if not _ROW_NUMBERS.fullmatch(name)}
    columns = {name: cell for name, cell in named.items() if name in _PLACES or name not in _KNOWN}
    merged = dict(rules.source.labels) | pairs | {name: cell for name, cell in columns.items() if cell}
    if not rules.source.keep_exporter:
        for name in ("pod", "namespace", "container"):
            merged[name] = merged.pop(f"exported_{name}", "") or merged.get(name, "")
    series_labels = {name: value for name, value in merged.items() if value and name not in _REPEATED}
    return rules.series(gpu, metric, series_labels), lookup(metric).kind == "counter"


def without_sentinels(value: float | str, *, is_counter: bool) -> float | str:
    """A number, but `blank` for one by which DCGM says that there is none; a text as it is."""
    return "blank" if not isinstance(value, str) and is_none(value, is_counter=is_counter) else value


def _gpu(given: dict[str, str], pairs: dict[str, str]) -> str | None:
    uuid, host = _named(given, pairs, "uuid", "UUID"), _named(given, pairs, "Hostname", "Hostname")
    if uuid:
        return uuid
    index = _either(given, pairs, "gpu_id", "gpu")
    return f"{host}:{int(index)}" if host and re.fullmatch(r"[0-9]{1,9}", index) else None


def _named(given: dict[str, str], pairs: dict[str, str], column: str, label: str) -> str:
    """The first of column and label that is a name and no placeholder."""
    return next((name for name in (given.get(column, ""), pairs.get(label, "")) if name and not is_placeholder(name)), "")


def is_placeholder(name: str) -> bool:
    """Whether a cell says that a name is not known."""
    lower = name.lower()
    bare = lower.removeprefix("[").removesuffix("]")
    is_zero = not lower.strip("0-") and (lower[0] == "0" or not lower.strip("-"))
    return bare in _PLACEHOLDERS or lower in _ZEROS or is_zero


def _either(given: dict[str, str], pairs: dict[str, str], column: str, label: str) -> str:
    return given.get(column) or pairs.get(label) or ""
