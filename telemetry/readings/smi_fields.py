"""How nvidia-smi and its like name their fields in a header, and what a vocabulary of such a tool is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

HEADER = re.compile(r"([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*)(?: \[([^\]]+)\])?")


class SmiField(NamedTuple):
    """A metric, and the unit that stands in the header behind its field; "" for a field whose header has none."""

    metric: str
    unit: str


class SmiVocabulary(NamedTuple):
    """The fields of a tool that are the same as DCGM's, the name under which it prints a field, and a field's metric if any.

    `header` has a field's name and its unit as they stand in a header.
    """

    same: Mapping[str, SmiField]
    canonical: Callable[[str], str]
    metric: Callable[[str], str | None]
    header: re.Pattern[str] = HEADER
