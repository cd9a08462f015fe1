"""What a day holds: runs of samples, one a series, in order of the series' keys. Pure.

The digest is SHA-256 of all runs: for each series a line of JSON, `["metric","told_as","series"]`, then its samples in order of
time, each 16 bytes: microseconds from 1970 as a little-endian whole number, and the bits of the value as a little-endian float.
So it depends on neither how a file is cut or packed, nor which numbers a database gives its series.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from telemetry.readings.arrays import Float64s, Int64s

SAMPLE = np.dtype([("ts", "<i8"), ("value", "<f8")])

# Metric, the GPU as it was told of, and the digest of the labels, in hex.
Key = tuple[str, str, str]


class DisorderError(ValueError):
    """Samples that are not in order, or come twice."""


class Run(NamedTuple):
    """Samples of a series in order of time; the times in microseconds from 1970."""

    key: Key
    ts_us: Int64s
    values: Float64s


class Content(NamedTuple):
    """How much a day holds, and the digest of it."""

    samples: int
    series: int
    digest: str


class Sum:
    """Sums runs up to a content, one after the other."""

    def __init__(self) -> None:
        self._digest = sha256()
        self._samples = self._series = 0
        self._last: tuple[Key, int] | None = None

    def add(self, run: Run) -> None:
        """The next run. Raises DisorderError if it does not come behind those before."""
        key, ts_us, values = run
        if not len(ts_us):
            return
        first, last = (key, int(ts_us[0])), (key, int(ts_us[-1]))
        if (self._last is not None and first <= self._last) or (np.diff(ts_us) <= 0).any():
            raise DisorderError(f"samples of {' '.join(key)} are not in order")
        if self._last is None or self._last[0] != key:
            self._digest.update(json.dumps(key, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
            self._series += 1
        rows = np.empty(len(ts_us), SAMPLE)
        rows["ts"], rows["value"] = ts_us, values
        self._digest.update(rows.tobytes())
        self._samples += len(ts_us)
        self._last = last

    def content(self) -> Content:
        """What came so far."""
        return Content(self._samples, self._series, f"sha256:{self._digest.hexdigest()}")


def content(runs: Iterable[Run]) -> Content:
    """What some runs come to. Raises DisorderError."""
    total = Sum()
    for run in runs:
        total.add(run)
    return total.content()


def lost(before: Iterable[Run], now: Iterable[Run]) -> int:
    """How many samples of before are not there now, or with other bits. Both come in order."""
    number, others = 0, _whole(now)
    other = next(others, None)
    for run in _whole(before):
        while other is not None and other.key < run.key:
            other = next(others, None)
        same = 0 if other is None or other.key != run.key else _same(run, other)
        number += len(run.ts_us) - same
    return number


def _same(run: Run, other: Run) -> int:
    """How many samples of a run another one has."""
    at = np.minimum(np.searchsorted(other.ts_us, run.ts_us), len(other.ts_us) - 1)
    bits, others = run.values.view(np.int64), other.values.view(np.int64)
    return int(((other.ts_us[at] == run.ts_us) & (others[at] == bits)).sum())


def _whole(runs: Iterable[Run]) -> Iterator[Run]:
    """The same with one run a series."""
    parts: list[Run] = []
    for run in runs:
        if parts and parts[0].key != run.key:
            yield _joined(parts)
            parts = []
        if len(run.ts_us):
            parts.append(run)
    if parts:
        yield _joined(parts)


def _joined(parts: list[Run]) -> Run:
    return Run(parts[0].key, np.concatenate([run.ts_us for run in parts]), np.concatenate([run.values for run in parts]))
