"""Finds samples among the rows of files by (series, time), millions at once. Pure arithmetic on arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from telemetry.verify.files import Longs

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class Keys:
    """The distinct (series, time) of some rows, and what the database holds under each."""

    def __init__(self, series: Longs, ts: Longs) -> None:
        self._series = np.unique(series)
        self._times = np.unique(ts)
        self._codes = np.unique(self._code(series, ts))
        self._there = np.zeros(len(self._codes), np.bool_)
        self._stored = np.zeros(len(self._codes))

    def put(self, series: Longs, ts: Longs, values: Doubles) -> Flags:
        """Take in samples of the database; tells which of them no row has."""
        place = self.places(series, ts)
        ours = place >= 0
        self._there[place[ours]] = True
        self._stored[place[ours]] = values[ours]
        return ~ours

    def stored(self, series: Longs, ts: Longs) -> Doubles:
        """The value that the database has under each key; of keys for which `judge` tells that it has one."""
        values: Doubles = self._stored[self.places(series, ts)]
        return values

    def judge(self, series: Longs, ts: Longs, values: Doubles) -> tuple[Flags, Flags, Flags]:
        """Which of the rows, given in file order, are stored, duplicates of a stored one, in conflict with it."""
        place = self.places(series, ts)
        there = self._there[place]
        same = there & (self._stored[place] == values)
        stored = np.zeros(len(place), np.bool_)
        rows = np.flatnonzero(same)
        stored[rows[np.unique(place[rows], return_index=True)[1]]] = True
        return stored, same & ~stored, there & ~same

    def places(self, series: Longs, ts: Longs) -> Longs:
        """Where each key stands, -1 for one that no row has."""
        return _rank(self._codes, self._code(series, ts))

    def _code(self, series: Longs, ts: Longs) -> Longs:
        """One number for each pair: ranks, because series id and microseconds would not fit side by side."""
        first, second = _rank(self._series, series), _rank(self._times, ts)
        code: Longs = np.where((first < 0) | (second < 0), -1, first * len(self._times) + second)
        return code


def within(places: Longs, ranges: list[tuple[int, int]]) -> Flags:
    """Which of some ascending offsets lie in a half-open range."""
    inside = np.zeros(len(places), np.bool_)
    for start, end in ranges:
        low, high = np.searchsorted(places, (start, end))
        inside[low:high] = True
    return inside


def _rank(known: Longs, keys: Longs) -> Longs:
    if not len(known):
        return np.full(len(keys), -1, np.int64)
    rank = np.minimum(np.searchsorted(known, keys), len(known) - 1).astype(np.int64)
    places: Longs = np.where(known[rank] == keys, rank, -1)
    return places
