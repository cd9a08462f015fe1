"""Reads what `xpu-smi --query-gpu` of version 2 writes: as nvidia-smi's, but for its fields and the form of its units."""

from __future__ import annotations

import re
from typing import ClassVar, Self

from telemetry.readings.xpu_smi import VOCABULARY
from telemetry.verify.formats.base import Rules
from telemetry.verify.formats.nvidia_smi import SmiReader


class XpuSmiQueryReader(SmiReader):
    """What xpu-smi writes when it is asked for fields."""

    name: ClassVar = "xpu-smi-query"
    version: ClassVar = 1
    fields: ClassVar = VOCABULARY
    named: ClassVar = re.compile(r"([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*)(?: \(([^)]+)\))?")

    @classmethod
    def of_header(cls, names: tuple[str, ...], rules: Rules) -> Self | None:
        """The reader under a header with a unit in parentheses."""
        return super().of_header(names, rules) if any(name[-1:] == ")" for name in names) else None
