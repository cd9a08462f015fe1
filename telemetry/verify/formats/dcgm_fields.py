"""Reads a dump of DCGM's fields, `GPUId,TimeStampUs,Field,Values`: a row to its series, time and value.

Owns the header and the order of the reasons. What a tag is called is the catalogue's.
"""

from __future__ import annotations

import re
from typing import ClassVar, Self

from telemetry.readings.catalogue import lookup
from telemetry.readings.dcgm_fields import BY_TAG, of_tag
from telemetry.verify.formats.base import FormatReader, Reading, Rules
from telemetry.verify.formats.dcgm import LONGEST_NAME, without_sentinels
from telemetry.verify.formats.grammar import FIELD, cells, grammar, text
from telemetry.verify.formats.values import number
from telemetry.verify.formats.wide import index_on_host

_COLUMNS = frozenset({"GPUId", "TimeStampUs", "Field", "Values"})


class DcgmFieldsReader(FormatReader):
    """The format under one header."""

    name: ClassVar = "dcgm-fields"
    version: ClassVar = 2

    def __init__(self, names: tuple[str, ...], rules: Rules) -> None:
        self.pattern = re.compile(rb"(%b,%b,%b,%b)" % ((FIELD,) * 4) + grammar(",").end)
        self._places = {name: names.index(name) for name in _COLUMNS}
        self._rules = rules

    @classmethod
    def of_header(cls, names: tuple[str, ...], rules: Rules) -> Self | None:
        """The reader under a header of exactly these columns, if the host is known."""
        is_it = len(names) == len(_COLUMNS) and set(names) == _COLUMNS
        return cls(names, rules) if is_it and rules.source.host else None

    def read(self, pieces: tuple[bytes, ...]) -> list[Reading]:
        """What the row says."""
        row = cells(pieces[0])
        stamp, tag = text(row[self._places["TimeStampUs"]]), text(row[self._places["Field"]])
        digits = re.fullmatch(r"([0-9]{1,18})(?:\.[0-9]{1,9})?", stamp)
        ts = self._rules.judged(int(digits[1]) if digits else None)
        if isinstance(ts, str):
            return [Reading(ts)]
        if not tag or len(tag.encode()) > LONGEST_NAME // 2:
            return [Reading("long_name" if tag else "no_metric")]
        gpu = index_on_host(text(row[self._places["GPUId"]]), self._rules)
        if gpu in ("no_gpu", "long_name"):
            return [Reading(gpu)]
        metric = of_tag(tag)
        key = self._rules.series(gpu, metric, dict(self._rules.source.labels))
        value = without_sentinels(number(row[self._places["Values"]]), is_counter=lookup(metric).kind == "counter")
        if isinstance(value, str):
            return [Reading(value if tag in BY_TAG else "blank", key, ts)]
        return [Reading("", key, ts, value)]
