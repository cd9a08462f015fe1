"""Headers that stand among the records of a source.

A writer that starts again writes its header again, and a file that was joined from several has theirs. A line that is the
header in force again is no row. Another header that a format knows changes how what follows is read. Behind a header that no
format knows nothing is read, up to the next one that a format knows.

Which line is taken for a header is part of how bytes are read: raise the versions as `telemetry.formats.base` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from telemetry.formats import records
from telemetry.formats.base import Format
from telemetry.formats.records import Malformed
from telemetry.formats.registry import names_in, recognise
from telemetry.formats.rows import Rows
from telemetry.readings.rows import HEADER, REASON_CODE
from telemetry.readings.source_settings import SourceSettings

# The least columns of a header that no format knows: a line of less says too little.
LEAST = 3
LINE = re.compile(rb"[^\n]*\n|[^\n]+\Z")
# Where files were joined, the mark of a second one stands before its header, and NULs where a machine lost its power.
BEFORE = re.compile(rb"\0*(?:\xef\xbb\xbf)?")
BEGINS = re.compile(rb'[ \t]*(?:"")?[,;]?[ \t]*"?[ \t]*[A-Za-z_#]')
STAMPED = re.compile(rb"[ \t]*\d{4}-\d\d-\d\d[Tt ]")
NAME = re.compile(r"[A-Za-z_#].{0,99}")
OF_TIME = re.compile(
    r"#? *(?:[a-z]+[_. ]){0,3}(?:time|date|timestamp|datetime|ts|epoch)(?:[_. ][a-z]+){0,3}(?: *[\[(].*[\])])?", re.IGNORECASE
)
# What a format may find a header to be among its records.
SUSPECT = [REASON_CODE[reason] for reason in ("bad_timestamp", "bad_columns", "no_gpu")]
# No header is longer.
LONGEST = 1 << 16
# No column is named so, and a record that was torn has such a cell.
UUID = re.compile(r"(?:GPU|MIG)-[0-9a-f-]{6,}", re.IGNORECASE)


class Header(NamedTuple):
    """A line that is a header: the names in it, and the format under it, None where nobody knows it."""

    names: list[str]
    format: Format | None


class Stretch(NamedTuple):
    """The beginning of a block that is not read: its bytes, its lines that hold something, and where a known header begins."""

    size_bytes: int
    lines: int
    header: int | None


class Turn(NamedTuple):
    """A header that changes how what follows is read: where in its block it stands, and the line (from 0) behind it."""

    start: int
    end: int
    end_line: int


def header_in(line: bytes, settings: SourceSettings) -> Header | None:
    """What a physical line says as a header; None if it is none."""
    line = line[BEFORE.match(line).end() :]  # type: ignore[union-attr]  # it matches the empty string
    if not (BEGINS.match(line) or STAMPED.match(line)) or b"\0" in line or len(line) > LONGEST or b"\n" in line[:-1]:
        return None
    cells, _ = records.first(line, max_record=len(line) + 1, final=True, delimiter=settings.delimiter)
    names = names_in(cells or [], settings)
    if names is None:
        return None
    known = recognise(cells or [], settings)
    if known and not known.is_stamped and STAMPED.match(line):
        return None
    return Header(names, known) if known or _is_like_a_header(names) else None


def unread_in(block: bytes, settings: SourceSettings) -> Stretch:
    """What of a block that begins behind a header that no format knows is not read: all up to one that is known, with it."""
    size, lines = 0, 0
    for match in LINE.finditer(block):
        size = match.end()
        if (heading := header_in(match.group(), settings)) and heading.format:
            return Stretch(size, lines, match.start())
        lines += bool(match.group().strip())
    return Stretch(size, lines, None)


def settle(rows: Rows, known: Format) -> Turn | None:
    """Take the headers out of the readings of a block, up to the first that changes how what follows is read: return that."""
    for start, end, line, record in _suspects(rows):
        text = rows.block[start:end]
        repeats = known.repeats(text)
        header = None if repeats else header_in(text, known.settings)
        if header is None and repeats is None:
            # A line that was torn, and behind it the header of its writer that began anew.
            at = text.find(known.columns[0].encode(), 1) if known.columns[0] else -1
            glued = header_in(text[at:], known.settings) if at > 0 else None
            if glued and glued.format and glued.names != list(known.columns):
                return Turn(start + at, end, line + text.count(b"\n"))
            continue
        same = repeats or (header is not None and header.names == list(known.columns))
        is_known = same or (header is not None and header.format is not None)
        _mark(rows, start, record, "header" if is_known else "unknown_format")
        if not same:
            return Turn(start, end, line + text.count(b"\n"))
    return None


def _suspects(rows: Rows) -> Iterator[tuple[int, int, int, int | None]]:
    """The lines that may be headers, in order: start, end, line, and the index of the record, None for a malformed line.

    No format takes the name of a column for a time or for a GPU, and a header of other columns may have more or fewer of them.
    """
    readings = np.flatnonzero(np.isin(rows.reasons, SUSPECT))
    indices = readings if rows.record_of is None else np.unique(rows.record_of[readings])
    suspects: list[tuple[int, int, int, int | None]] = [
        (int(rows.starts[n]), int(rows.ends[n]), int(rows.lines[n]), n) for n in indices.tolist()
    ]
    suspects += [
        (row.start, row.end, row.line, None)
        for row in rows.malformed
        if row.reason == "bad_columns" or (row.reason == "bad_text" and rows.block.startswith(b"\0", row.start))
    ]
    # By their beginnings, of which no two are alike.
    yield from sorted(suspects, key=lambda suspect: suspect[0])


def _mark(rows: Rows, start: int, record: int | None, reason: str) -> None:
    """Enter what a line is: no row, or one of the quarantine."""
    if record is not None:
        places = slice(record, record + 1)
        if rows.record_of is not None:
            places = slice(*np.searchsorted(rows.record_of, (record, record + 1)).tolist())
        rows.reasons[places] = REASON_CODE[reason]
        return
    at = next(n for n, row in enumerate(rows.malformed) if row.start == start)
    row = rows.malformed.pop(at)
    if REASON_CODE[reason] != HEADER:
        rows.malformed.insert(at, Malformed(row.start, row.end, row.line, reason))


def _is_like_a_header(names: list[str]) -> bool:
    """Whether these cells look like names of columns, one of them that of a time."""
    given = [name for name in names if name]
    return (
        len(given) >= LEAST
        and len(given) >= len(names) - 1
        and len(set(given)) == len(given)
        and all(NAME.fullmatch(name) and not UUID.fullmatch(name) for name in given)
        and any(OF_TIME.fullmatch(name) for name in given)
    )
