"""What the rows of a file say, gathered in columns, small enough for millions of them.

Owns the fingerprints of files, the numbering of series, and how a row counts that says several things. Knows nothing
of the database.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from telemetry.verify.contents import opened
from telemetry.verify.formats.base import Reading, Rules, SeriesKey
from telemetry.verify.formats.grammar import MAX_RECORD, Bytes, beginning
from telemetry.verify.formats.heads import FileHeader, head
from telemetry.verify.formats.records import MAX_KEPT, Row, first, kept, line_end, rows

Longs = npt.NDArray[np.int64]

# A reason is kept as its place in this list: a value, a blank, or why a row belongs in quarantine.
REASONS = (
    *("", "blank", "unknown_format", "too_long", "bad_quotes", "bad_columns", "bad_text", "bad_timestamp"),
    *("ambiguous_time", "too_old", "too_new", "no_metric", "no_gpu", "long_name", "bad_labels", "bad_value"),
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
    """One file: a column for each thing to know of its readings, in file order.

    Readings of one row have the same `starts` and `ends`. A row for the quarantine has one entry for that, its first; it and
    blanks need no series, time or value.
    """

    path: Path
    is_foreign: bool
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
    """All that the rows of a file say; `progress` is called with the bytes that were read since it was last."""
    starts, ends, series, ts = array("q"), array("q"), array("q"), array("q")
    reasons, values = array("b"), array("d")
    reported = 0
    with opened(path) as data:
        known = head(data, rules, limit)
        begins = first(data, known, limit)
        mark = fingerprint(data, known, begins) if begins else None
        for count, row in enumerate(rows(data, known, rules, limit)):
            for reading in row.readings if len(row.readings) == 1 else counted(row.readings):
                starts.append(row.start)
                ends.append(row.end)
                reasons.append(_CODES[reading.reason])
                series.append(numbers.number(reading.series))
                ts.append(reading.ts)
                values.append(reading.value)
            if count % _ROWS_PER_STEP == 0:
                progress(row.end - reported)
                reported = row.end
        progress(len(data) - reported)
    longs = [np.frombuffer(column, np.int64) for column in (starts, ends, series, ts)]
    return File(
        *(path, known is None and begins is not None, mark, longs[0], longs[1], np.frombuffer(reasons, np.int8)),
        *(longs[2], longs[3], np.frombuffer(values, np.float64)),
    )


def counted(readings: Sequence[Reading]) -> list[Reading]:
    """The readings of a row as they count: what of it cannot be read makes one row of the quarantine, which comes first."""
    bad = [reading for reading in readings if reading.reason not in ("", "blank")]
    return bad[:1] + [reading for reading in readings if reading.reason in ("", "blank")]


def fingerprint(data: Bytes, known: FileHeader | None, begins: Row) -> str:
    """What the ledger and the quarantine know a file by: a digest of its header and first row, or of its first line."""
    start = beginning(data)
    if known is None or known.end == start:
        return hashlib.sha256(kept(data, start, line_end(data, start))).hexdigest()[:32]
    end = min(begins.end, begins.start + MAX_KEPT) if begins.reason else begins.end
    return hashlib.sha256(data[start : known.end] + data[begins.start : end]).hexdigest()[:32]
