"""Some of the differences, written so that a person finds the row. Which rows differ is left to `compare`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from telemetry.verify.files import REASONS, File, opened
from telemetry.verify.formats.base import SeriesKey
from telemetry.verify.formats.grammar import Bytes
from telemetry.verify.formats.records import kept
from telemetry.verify.matching import Flags

AT_MOST = 10


@dataclass(frozen=True, slots=True)
class Example:
    """A row that makes a difference: of a file at an offset, or of the database (`path` is None)."""

    path: Path | None
    line: int
    reason: str
    text: str


def stranger(key: SeriesKey, ts: int, value: float) -> Example:
    """A sample of the database that no row has."""
    moment = str(np.datetime64(ts, "us"))
    return Example(None, 0, "extra: no row has it", f"{key.metric} of {key.gpu} at {moment}Z = {value:.17g}")


def unfound(files: Sequence[File], missing: Flags, dead: Flags) -> list[Example]:
    """The first rows, over all files in their order, that are missing or dead."""
    examples: list[Example] = []
    base = 0
    for file in files:
        own = slice(base, base + len(file.starts))
        base = own.stop
        places = np.flatnonzero((missing | dead)[own])[: AT_MOST - len(examples)].tolist()
        if places:
            with opened(file.path) as data:
                examples += [_row(file, data, place, dead=bool(dead[own][place])) for place in places]
    return examples


def line_number(data: Bytes, at: int) -> int:
    """The number of the physical line that begins at an offset, counted from 1."""
    step = 1 << 20
    return 1 + sum(data[start : min(start + step, at)].count(b"\n") for start in range(0, at, step))


def _row(file: File, data: Bytes, place: int, *, dead: bool) -> Example:
    start, expected = int(file.starts[place]), REASONS[file.reasons[place]]
    lack = f"not in quarantine as {expected}" if expected else "not in samples"
    reason = "dead: its batch could not be stored" if dead else f"missing: {lack}"
    raw = kept(data, start, int(file.ends[place]))
    return Example(file.path, line_number(data, start), reason, raw.decode(errors="replace"))
