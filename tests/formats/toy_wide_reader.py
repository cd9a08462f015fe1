"""How `verify` reads the toy format: the twin of `toy_wide`, which shares nothing with it."""

from __future__ import annotations

import re
from typing import ClassVar, Self

from telemetry.verify.formats.base import FormatReader, Reading, Rules
from telemetry.verify.formats.grammar import FIELD, cells, grammar, text, unquoted
from telemetry.verify.formats.timestamps import microseconds
from telemetry.verify.formats.values import number


class ToyWideReader(FormatReader):
    """The toy format under one header."""

    name: ClassVar = "toy-wide"
    version: ClassVar = 1

    def __init__(self, names: tuple[str, ...], rules: Rules) -> None:
        self.pattern = re.compile(rb"(%b),(%b)((?:,%b){%d})" % (FIELD, FIELD, FIELD, len(names) - 2) + grammar(",").end)
        self._metrics, self._rules = names[2:], rules

    @classmethod
    def of_header(cls, names: tuple[str, ...], rules: Rules) -> Self | None:
        return cls(names, rules) if names[:2] == ("time", "gpu") and names[2:] else None

    def read(self, pieces: tuple[bytes, ...]) -> list[Reading]:
        stamp, gpu, values = unquoted(pieces[0]).strip(b" \t"), text(pieces[1]), cells(pieces[2][1:])
        if stamp == b"time":
            return []
        ts = self._rules.judged(microseconds(stamp))
        if isinstance(ts, str) or not gpu:
            return [Reading(ts if isinstance(ts, str) else "no_gpu")]
        readings = []
        for metric, cell in zip(self._metrics, values, strict=True):
            key, value = self._rules.series(gpu, metric, {}), number(cell)
            readings.append(Reading(value, key, ts) if isinstance(value, str) else Reading("", key, ts, value))
        return readings
