"""The rows of a file gathered in columns, small enough for millions of them.

Owns opening files, their fingerprints, and the numbering of series. Knows nothing of the database.
"""

from __future__ import annotations

import hashlib
import mmap
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from telemetry.verify.formats.layout import MAX_RECORD, Bytes, Layout, layout
from telemetry.verify.formats.meaning import Interpreter, Reading, Rules, SeriesKey
from telemetry.verify.formats.records import MAX_KEPT, Row, kept, rows

Longs = npt.NDArray[np.int64]

# A row's reason is kept as its place in this list: a value, a blank, or why it belongs in quarantine.
REASONS = (
    *("", "blank", "unknown_format", "too_long", "bad_quotes", "bad_columns", "bad_text", "bad_timestamp"),
    *("too_old", "too_new", "no_metric", "no_gpu", "long_name", "bad_labels", "bad_value"),
)
VALUE, BLANK = 0, 1

_CODES = {reason: code for code, reason in enumerate(REASONS)}
_ROWS_PER_STEP = 20_000


@dataclass(slots=True)
class SeriesNumbers:
    """Every series met in the files, numbered in the order of their first row."""

    keys: dict[SeriesKey, int] = field(default_factory=dict)

    def number(self, key: SeriesKey | None) -> int:
        """The number of a series, -1 for none."""
        return -1 if key is None else self.keys.setdefault(key, len(self.keys))


@dataclass(frozen=True, slots=True)
class File:
    """One file: a column for each thing to know of its rows, in file order. Series, time and value only of readings."""

    path: Path
    fingerprint: str | None
    starts: Longs
    ends: Longs
    reasons: npt.NDArray[np.int8]
    series: Longs
    ts: Longs
    values: npt.NDArray[np.float64]


def read(
    path: Path,
    rules: Rules,
    numbers: SeriesNumbers,
    *,
    limit: int = MAX_RECORD,
    progress: Callable[[int], None] = lambda _: None,
) -> File:
    """All rows of a file; `progress` is told of bytes as they are read."""
    starts, ends, series, ts = array("q"), array("q"), array("q"), array("q")
    reasons, values = array("b"), array("d")
    mark, told = None, 0
    with opened(path) as data:
        header = layout(data, limit)
        understand = Interpreter(header, rules).read if header else None
        for count, row in enumerate(rows(data, header, limit)):
            if mark is None:
                mark = fingerprint(data, header, row)
            reading = Reading(row.reason) if row.reason or not understand else understand(row)
            starts.append(row.start)
            ends.append(row.end)
            reasons.append(_CODES[reading.reason])
            series.append(numbers.number(reading.series))
            ts.append(reading.ts)
            values.append(reading.value)
            if count % _ROWS_PER_STEP == 0:
                progress(row.end - told)
                told = row.end
        progress(len(data) - told)
    longs = [np.frombuffer(column, np.int64) for column in (starts, ends, series, ts)]
    return File(
        *(path, mark, longs[0], longs[1], np.frombuffer(reasons, np.int8)),
        *(longs[2], longs[3], np.frombuffer(values, np.float64)),
    )


@contextmanager
def opened(path: Path) -> Iterator[Bytes]:
    """The bytes of a file, mapped rather than loaded."""
    with path.open("rb") as stream:
        if not path.stat().st_size:
            yield b""
            return
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def fingerprint(data: Bytes, header: Layout | None, first: Row) -> str:
    """What the ledger and the quarantine know a file by: a digest of its header and first row."""
    if header is None:
        return hashlib.sha256(kept(data, 0, first.end)).hexdigest()[:32]
    end = min(first.end, first.start + MAX_KEPT) if first.reason else first.end
    return hashlib.sha256(data[: header.end] + data[first.start : end]).hexdigest()[:32]
