"""Which of the rules hold for which readings of a batch, by their times. What the rules are is `telemetry.store.rules`'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from telemetry.readings import wire
from telemetry.readings.arrays import Int64s
from telemetry.store import rules
from telemetry.store.rules import Rule


class Asked(NamedTuple):
    """A series text, the rule of that time, and who tells of it in a file that begins with what."""

    edge: str
    fingerprint: str
    rule: Rule
    text: str


class Stretch(NamedTuple):
    """The readings of a batch that one rule holds for: their places, the texts of their series, and which text each has."""

    batch: wire.Batch
    rule: Rule
    rows: Int64s | slice
    texts: list[str]
    codes: Int64s

    @property
    def key(self) -> tuple[str, int]:
        """Within it a text stands for one series."""
        return self.batch.edge, self.rule.number

    @property
    def asked(self) -> list[Asked]:
        """What there is to look up."""
        return [Asked(self.batch.edge, self.batch.source.fingerprint, self.rule, text) for text in self.texts]


def stretches(batch: wire.Batch, known: Sequence[Rule]) -> list[Stretch]:
    """A batch by rules: nearly always all of it under the latest one."""
    readings = batch.readings
    if len(known) == 1 or (len(readings.ts_us) and int(readings.ts_us.min()) >= known[-1].since_us):
        return [Stretch(batch, known[-1], slice(None), readings.series, readings.codes)]
    places = rules.places(known, readings.ts_us)
    found = []
    for place in np.unique(places).tolist():
        rows = np.flatnonzero(places == place)
        used, codes = np.unique(readings.codes[rows], return_inverse=True)
        found.append(Stretch(batch, known[place], rows, [readings.series[code] for code in used.tolist()], codes))
    return found


def of_readings(batch: wire.Batch, parts: Sequence[Stretch], numbers: Sequence[Int64s]) -> Int64s:
    """A number for each reading of a batch, from those of the texts of its stretches."""
    if len(parts) == 1 and isinstance(parts[0].rows, slice):
        of_all: Int64s = numbers[0][parts[0].codes]
        return of_all
    of_each = np.empty(len(batch.readings.codes), np.int64)
    for stretch, of_texts in zip(parts, numbers, strict=True):
        of_each[stretch.rows] = of_texts[stretch.codes]
    return of_each
