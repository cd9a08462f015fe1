"""Where a key stands in a file of TOML, for messages about mistakes: the parser of the standard library does not say."""

from __future__ import annotations

import re

TABLE = re.compile(r"\s*\[\[\s*source\s*\]\]")


class MistakeError(ValueError):
    """What is wrong in a table, and the key at which it is: a path of keys, none for the table itself."""

    def __init__(self, says: str, *keys: str) -> None:
        super().__init__(says)
        self.keys = keys


def line_of(text: str, number: int, keys: tuple[str, ...]) -> int:
    """The line (from 1) of a key of the `[[source]]` of a number (from 1); that of the table where the key is not seen."""
    lines = text.splitlines()
    starts = [n for n, line in enumerate(lines) if TABLE.match(line)] or [0]
    start = starts[min(number, len(starts)) - 1]
    end = starts[number] if number < len(starts) else len(lines)
    for key in reversed(keys):
        name = rf"""(?:^|[\s.{{,\["']){re.escape(key)}["']?\s*"""
        # Before what it is set to, or in the name of a table.
        written = re.compile(rf"{name}[=.]|^\s*\[.*{name}\]")
        for n in range(start, end):
            if written.search(lines[n].partition("#")[0] if "#" not in key else lines[n]):
                return n + 1
    return start + 1
