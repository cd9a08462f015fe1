"""A well-formed row to its series, time and value, or to the reason it has none.

Owns which GPU and which labels make a series, the bounds of time, and the order in which reasons are tested. Where rows
begin and end is left to `records`, what the database makes of them to `compare`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeVar

from telemetry.readings.catalogue import lookup
from telemetry.settings import Settings
from telemetry.verify.formats import labels, timestamps
from telemetry.verify.formats.layout import Layout, unquoted
from telemetry.verify.formats.records import Row
from telemetry.verify.formats.values import number

# Raw cells remembered at most; a file whose labels never repeat must not fill the memory.
CACHE = 250_000
LONGEST_NAME = 1024

_K = TypeVar("_K")
_V = TypeVar("_V")

_PLACES = ("container", "pod", "namespace")
_KNOWN = frozenset(
    {
        *("timestamp", "metric_name", "gpu_id", "device", "uuid", "modelName", "Hostname", "value", "labels_raw"),
        *_PLACES,
    }
)
_REPEATED = frozenset({"", "__name__", "UUID", "gpu", "device", "modelName", "Hostname"})


class SeriesKey(NamedTuple):
    """What the database knows a series by."""

    gpu: str
    metric: str
    labels: bytes


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say of the rows to accept, in microseconds since 1970."""

    floor: int
    ceiling: int
    volatile: frozenset[str]

    @classmethod
    def of(cls, settings: Settings, now: datetime) -> Rules:
        """The rules in force at a time of reading."""
        return cls(
            floor=_since_1970(settings.timestamp_floor),
            ceiling=_since_1970(now) + settings.future_limit_s * 1_000_000,
            volatile=frozenset(settings.volatile_labels),
        )


class Reading(NamedTuple):
    """What a row says: a reading, or the reason it is none, with series and time as far as they are known."""

    reason: str
    series: SeriesKey | None = None
    ts: int = 0
    value: float = math.nan


class Interpreter:
    """Reads the rows under one header. Cells that repeat from row to row are understood once."""

    def __init__(self, layout: Layout, rules: Rules) -> None:
        self._layout = layout
        self._rules = rules
        self._times: dict[bytes, int | str] = {}
        self._series: dict[tuple[bytes, bytes, bytes], tuple[SeriesKey, bool] | str] = {}

    def read(self, row: Row) -> Reading:
        """What the row says, the reasons tested in the order of the grammar."""
        ts = self._times.get(row.stamp)
        if ts is None:
            ts = _remember(self._times, row.stamp, self._time(row.stamp))
        if isinstance(ts, str):
            return Reading(ts)
        series = self._series.get(row.rest)
        if series is None:
            series = _remember(self._series, row.rest, self._identity(self._layout.cells(row.rest)))
        if isinstance(series, str):
            return Reading(series)
        key, is_counter = series
        value = number(row.value, is_counter=is_counter)
        if isinstance(value, str):
            return Reading(value, key, ts)
        return Reading("", key, ts, value)

    def _time(self, stamp: bytes) -> int | str:
        ts = timestamps.microseconds(unquoted(stamp).strip(b" \t"))
        if ts is None:
            return "bad_timestamp"
        if ts < self._rules.floor:
            return "too_old"
        return "too_new" if ts > self._rules.ceiling else ts

    def _identity(self, cells: dict[str, str]) -> tuple[SeriesKey, bool] | str:
        metric = cells["metric_name"]
        if not metric:
            return "no_metric"
        pairs = labels.parse(cells.get("labels_raw", ""))
        gpu = _gpu(cells, pairs or {})
        if gpu is None:
            return "no_gpu"
        names = (metric, _told(cells, pairs or {}, "uuid", "UUID"), _told(cells, pairs or {}, "Hostname", "Hostname"))
        if max(len(name.encode()) for name in names) > LONGEST_NAME:
            return "long_name"
        if pairs is None:
            return "bad_labels"
        columns = {name: cell for name, cell in cells.items() if name in _PLACES or name not in _KNOWN}
        merged = pairs | {name: cell for name, cell in columns.items() if cell}
        left_out = _REPEATED | self._rules.volatile
        lasting = {name: value for name, value in merged.items() if value and name not in left_out}
        return SeriesKey(gpu, metric, labels.digest(lasting)), lookup(metric).kind == "counter"


def _gpu(cells: dict[str, str], pairs: dict[str, str]) -> str | None:
    uuid, host = _told(cells, pairs, "uuid", "UUID"), _told(cells, pairs, "Hostname", "Hostname")
    if uuid:
        return uuid
    index = _told(cells, pairs, "gpu_id", "gpu")
    return f"{host}:{int(index)}" if host and re.fullmatch(r"[0-9]{1,9}", index) else None


def _told(cells: dict[str, str], pairs: dict[str, str], column: str, label: str) -> str:
    return cells.get(column) or pairs.get(label) or ""


def _since_1970(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _remember(cache: dict[_K, _V], key: _K, value: _V) -> _V:
    if len(cache) >= CACHE:
        cache.clear()
    cache[key] = value
    return value
