"""Reads what rocm-smi writes as CSV, a time before each line: a row to its readings, one a column.

Owns the header, the names of cards, and shares with a percent sign. Which column is which metric is the catalogue's.
"""

from __future__ import annotations

import re
from typing import ClassVar, Self

from telemetry.readings.other_vendors import ROCM_SMI, own
from telemetry.verify.formats.base import Rules
from telemetry.verify.formats.stamped import StampedReader, is_time
from telemetry.verify.formats.wide import Measured


class RocmSmiReader(StampedReader):
    """The format under one header."""

    name: ClassVar = "rocm-smi"
    version: ClassVar = 2

    def __init__(self, names: tuple[str, ...], rules: Rules) -> None:
        kinds = [(place, name, ROCM_SMI.get(name) or own("ROCM_SMI_", name)) for place, name in enumerate(names)]
        measured = [Measured(place, to.metric, name in ROCM_SMI, to.per) for place, name, to in kinds[1:] if name != "device"]
        super().__init__(len(names), measured, rules)
        self._names, self._card = list(names), names.index("device")

    @classmethod
    def of_header(cls, names: tuple[str, ...], rules: Rules) -> Self | None:
        """The reader under a header behind a time, with a device and a known column, if the host is known."""
        if "device" not in names or ROCM_SMI.keys().isdisjoint(names) or len(set(names)) < len(names):
            return None
        return cls(names, rules) if is_time(names[0]) and rules.source.host else None

    def is_header(self, behind: list[str]) -> bool:
        """The same names."""
        return behind == self._names[1:]

    def number(self, cell: str) -> float | str:
        """The number in a cell, with a percent sign or without."""
        return super().number(cell[:-1] if re.search(r"[0-9]%\Z", cell) else cell)

    def gpu(self, row: list[str]) -> str:
        """By the number of the card on its host."""
        cell = row[self._card]
        return self.by_index(cell[4:].strip(" \t")) if cell.startswith("card") else "no_gpu"
