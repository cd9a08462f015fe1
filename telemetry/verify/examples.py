"""Some of the differences, written so that a person finds the row. Which rows differ is left to `compare`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from telemetry.verify.contents import damage, opened
from telemetry.verify.files import REASONS, File
from telemetry.verify.formats.grammar import Bytes
from telemetry.verify.formats.records import kept
from telemetry.verify.matching import Doubles, Flags

AT_MOST = 10


@dataclass(frozen=True, slots=True)
class Example:
    """A row that makes a difference: of a file at an offset, or of the database (`path` is None)."""

    path: Path | None
    line: int
    reason: str
    text: str


def stranger(gpu: str, metric: str, ts: int, value: float) -> Example:
    """A sample of the database that no row has."""
    moment = str(np.datetime64(ts, "us"))
    return Example(None, 0, "extra: no row has it", f"{metric} of {gpu} at {moment}Z = {value:.17g}")


def unfound(files: Sequence[File], missing: Flags, dead: Flags) -> list[Example]:
    """The first rows, over all files in their order, that are missing or dead."""
    return [_lacking(file, data, place, dead=bool(dead[row])) for file, data, place, row in _first(files, missing | dead)]


def conflicts(files: Sequence[File], flags: Flags, stored: Doubles) -> list[Example]:
    """The first rows, over all files in their order, with another value than the stored one; `stored` has an entry a row."""
    return [
        _row(file, data, place, f"conflict: it says {file.values[place]:.17g}, {stored[row]:.17g} is stored")
        for file, data, place, row in _first(files, flags)
    ]


def unread(files: Sequence[File], flags: Flags) -> list[Example]:
    """The first lines, over all files in their order, behind which nothing is read. `flags`: the lines that were not read."""
    parts = np.split(flags, np.cumsum([len(file.starts) for file in files])[:-1])
    begins = np.concatenate([part & ~np.concatenate(([False], part[:-1])) for part in parts])
    return [_row(file, data, place, f"unread: {_why(file)}") for file, data, place, _ in _first(files, begins)]


def _why(file: File) -> str:
    if fault := damage(file.path):
        return f"it is packed, and damaged ({fault})"
    return f"no format knows {'the header of this file' if file.is_foreign else 'this header'}"


def line_number(data: Bytes, at: int) -> int:
    """The number of the physical line that begins at an offset, counted from 1."""
    step = 1 << 20
    return 1 + sum(data[start : min(start + step, at)].count(b"\n") for start in range(0, at, step))


def _first(files: Sequence[File], flags: Flags) -> Iterator[tuple[File, Bytes, int, int]]:
    """The first flagged rows: the file with its bytes, the row's place in the file, its place among all rows."""
    base, left = 0, AT_MOST
    for file in files:
        places = np.flatnonzero(flags[base : base + len(file.starts)])[:left].tolist()
        left -= len(places)
        if places:
            with opened(file.path) as data:
                yield from ((file, data, place, base + place) for place in places)
        base += len(file.starts)


def _lacking(file: File, data: Bytes, place: int, *, dead: bool) -> Example:
    expected = REASONS[file.reasons[place]]
    lack = f"not in quarantine as {expected}" if expected else "not in samples"
    return _row(file, data, place, "dead: its batch could not be stored" if dead else f"missing: {lack}")


def _row(file: File, data: Bytes, place: int, reason: str) -> Example:
    start = int(file.starts[place])
    raw = kept(data, start, int(file.ends[place]))
    return Example(file.path, line_number(data, start), reason, raw.decode(errors="replace"))
