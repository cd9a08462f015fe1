"""Reads what amd-smi writes as CSV while it watches: a row to its readings, one a column.

Owns the header and the seconds since 1970. Which column is which metric is the catalogue's.
"""

from __future__ import annotations

import re
from typing import ClassVar, Self

from telemetry.readings.other_vendors import OF_AMD_SMI, amd_smi, own
from telemetry.verify.formats.base import Reading, Rules
from telemetry.verify.formats.stamped import StampedReader, is_time
from telemetry.verify.formats.wide import Measured

_SECONDS = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,9}))?")


class AmdSmiReader(StampedReader):
    """The format under one header."""

    name: ClassVar = "amd-smi"
    version: ClassVar = 2

    def __init__(self, names: tuple[str, ...], rules: Rules) -> None:
        known = amd_smi(list(names))
        left_out = {"timestamp", "gpu", "xcp"} | {name for name in names[:1] if is_time(name)}
        measured = [
            Measured(place, (known.get(name) or own("AMD_SMI_", name)).metric, name in known)
            for place, name in enumerate(names)
            if name not in left_out
        ]
        super().__init__(len(names), measured, rules)
        self._names = list(names)

    @classmethod
    def of_header(cls, names: tuple[str, ...], rules: Rules) -> Self | None:
        """The reader under a header with a GPU and a column of this tool alone, and a time in it or before it."""
        if "gpu" not in names or OF_AMD_SMI.isdisjoint(names) or len(set(names)) < len(names):
            return None
        has_time = "timestamp" in names or is_time(names[0])
        return cls(names, rules) if has_time and rules.source.host else None

    def is_header(self, behind: list[str]) -> bool:
        """The same names."""
        return behind == self._names[1:]

    def stamp(self, row: list[str]) -> str:
        """The tool's own time, if it has written one."""
        return row[self._names.index("timestamp")] if "timestamp" in self._names else row[0]

    def moment(self, stamp: str) -> int | str | None:
        """Seconds since 1970, digits after the sixth of a fraction cut off; or RFC 3339, where the tool wrote no time."""
        if "timestamp" not in self._names:
            return super().moment(stamp)
        match = _SECONDS.fullmatch(stamp)
        return int(match[1]) * 1_000_000 + int((match[2] or "0")[:6].ljust(6, "0")) if match else None

    def gpu(self, row: list[str]) -> str:
        """By the index of the GPU on its host."""
        return self.by_index(row[self._names.index("gpu")])

    def labels(self, row: list[str]) -> dict[str, str]:
        """The partition of the GPU."""
        return {"xcp": row[self._names.index("xcp")]} if "xcp" in self._names else {}

    def readings(self, cell: str, gpu: str, ts: int, column: Measured, labels: tuple[tuple[str, str], ...]) -> list[Reading]:
        """That of a cell, or those of a list in it, one an engine."""
        engines = re.fullmatch(r"\[(.*)\]", cell, re.DOTALL)
        if engines is None or not engines[1].strip(" \t"):
            return super().readings(cell, gpu, ts, column, labels)
        engine_readings = []
        for number, engine in enumerate(engines[1].split(",")):
            bare = engine.strip(" \t")
            quoted = re.fullmatch(r"'(.*)'|\"(.*)\"", bare, re.DOTALL)
            own = (*labels, ("engine", str(number)))
            engine_readings += super().readings(quoted[1] or quoted[2] or "" if quoted else bare, gpu, ts, column, own)
        return engine_readings
