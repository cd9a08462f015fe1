"""Which of the rules hold for which readings, by their times. What the rules are is `telemetry.store.rules`'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from telemetry.readings import wire
from telemetry.readings.arrays import Int64s
from telemetry.readings.rows import Readings
from telemetry.store import rules
from telemetry.store.rules import Rule


class Asked(NamedTuple):
    """A series text, the rule of that time, and who tells of it in a file that begins with what."""

    edge: str
    fingerprint: str
    rule: Rule
    text: str


class Content(NamedTuple):
    """Readings, and which edge tells them of a file that begins with what."""

    edge: str
    fingerprint: str
    readings: Readings

    @classmethod
    def of(cls, batch: wire.Batch) -> Content:
        """That of a batch."""
        return cls(batch.edge, batch.source.fingerprint, batch.readings)


class Stretch(NamedTuple):
    """The readings of a content that one rule holds for: their places, the texts of their series, and which text each has."""

    content: Content
    rule: Rule
    rows: Int64s | slice
    texts: list[str]
    codes: Int64s

    @property
    def key(self) -> tuple[str, int]:
        """Within it a text stands for one series."""
        return self.content.edge, self.rule.number

    @property
    def asked(self) -> list[Asked]:
        """What there is to look up."""
        return [Asked(self.content.edge, self.content.fingerprint, self.rule, text) for text in self.texts]


def stretches(content: Content, known: Sequence[Rule]) -> list[Stretch]:
    """A content by rules: nearly always all of it under the latest one."""
    readings = content.readings
    if len(known) == 1 or (len(readings.ts_us) and int(readings.ts_us.min()) >= known[-1].since_us):
        return [Stretch(content, known[-1], slice(None), readings.series, readings.codes)]
    places = rules.places(known, readings.ts_us)
    pieces = []
    for place in np.unique(places).tolist():
        rows = np.flatnonzero(places == place)
        used, codes = np.unique(readings.codes[rows], return_inverse=True)
        pieces.append(Stretch(content, known[place], rows, [readings.series[code] for code in used.tolist()], codes))
    return pieces


def of_readings(content: Content, parts: Sequence[Stretch], numbers: Sequence[Int64s]) -> Int64s:
    """A number for each reading of a content, from those of the texts of its stretches."""
    if len(parts) == 1 and isinstance(parts[0].rows, slice):
        of_all: Int64s = numbers[0][parts[0].codes]
        return of_all
    of_each = np.empty(len(content.readings.codes), np.int64)
    for stretch, of_texts in zip(parts, numbers, strict=True):
        of_each[stretch.rows] = of_texts[stretch.codes]
    return of_each
