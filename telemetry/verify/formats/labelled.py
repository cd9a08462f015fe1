"""Reads wide CSV whose header names series as Prometheus does: a row to a reading of each of its series.

Owns the header and the forms of its times. Which labels name a GPU and a series is `dcgm`'s.
"""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from typing import ClassVar, Self

from telemetry.readings.catalogue import lookup
from telemetry.readings.mapping import LOCAL, ColumnMapping
from telemetry.verify.formats import labels
from telemetry.verify.formats.base import FormatReader, Reading, Rules, SeriesKey, remember
from telemetry.verify.formats.dcgm import identity, is_none, is_placeholder
from telemetry.verify.formats.grammar import FIELD, cells, grammar, text
from telemetry.verify.formats.mapped_numbers import Numbers
from telemetry.verify.formats.mapped_times import Clock

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_SECONDS = 11


class LabelledReader(FormatReader):
    """The format under one header."""

    name: ClassVar = "labelled"
    version: ClassVar = 2

    def __init__(self, series: list[tuple[SeriesKey, bool]], rules: Rules) -> None:
        self.pattern = re.compile(rb"((?:%b,){%d}%b)" % (FIELD, len(series), FIELD) + grammar(",").end)
        self._series, self._rules = series, rules
        clock = ColumnMapping((), LOCAL, ())
        self._clocks = [Clock(replace(clock, form=form), rules) for form in (LOCAL, "epoch_s", "epoch_ms")]
        self._numbers = [Numbers(lookup(key.metric).unit or "", Fraction(1), clock) for key, _ in series]
        self._times: dict[str, int | str] = {}

    @classmethod
    def of_header(cls, names: tuple[str, ...], rules: Rules) -> Self | None:
        """The reader under a header with a time and series, each of a GPU, none twice."""
        if len(names) < 2 or names[0].lower() not in {"time", "timestamp"} or not rules.source.time_zone:  # noqa: PLR2004
            return None
        series = [_named(name, rules) for name in names[1:]]
        known = [each for each in series if each is not None]
        return cls(known, rules) if len(known) == len(series) and len(set(names)) == len(names) else None

    def read(self, pieces: tuple[bytes, ...]) -> list[Reading]:
        """What the row says."""
        stamp, *row = (text(cell) for cell in cells(pieces[0]))
        ts = self._times.get(stamp)
        if ts is None:
            ts = remember(self._times, stamp, self._judged(stamp))
        if isinstance(ts, str):
            return [Reading(ts)]
        readings = []
        for (key, is_counter), numbers, cell in zip(self._series, self._numbers, row, strict=True):
            value = numbers.value(cell)
            if not isinstance(value, str) and is_none(value, is_counter=is_counter):
                value = "blank"
            readings.append(Reading(value, key, ts) if isinstance(value, str) else Reading("", key, ts, value))
        return readings

    def _judged(self, stamp: str) -> int | str:
        local, seconds, milliseconds = self._clocks
        ts = local.judged(stamp)
        if ts != "bad_timestamp":
            return ts
        return (seconds if len(stamp.partition(".")[0]) <= _SECONDS else milliseconds).judged(stamp)


def _named(column: str, rules: Rules) -> tuple[SeriesKey, bool] | None:
    """The series that a column's name names, and whether it counts; None if it names none."""
    name, brace, _ = column.partition("{")
    pairs = labels.parse(brace + column[len(name) + 1 :]) if brace and column.endswith("}") else None
    name = name.rstrip(" \t")
    if pairs is None or (name and not _NAME.fullmatch(name)):
        return None
    given = {"metric_name": name or pairs.get("__name__", ""), "labels_raw": brace + column.partition("{")[2]}
    if rules.source.host and (not pairs.get("Hostname") or is_placeholder(pairs["Hostname"])):
        given["Hostname"] = rules.source.host
    if rules.source.gpu_index is not None and "gpu" not in pairs:
        given["gpu_id"] = f"{rules.source.gpu_index}"
    series = identity(given, rules)
    return None if isinstance(series, str) else series
