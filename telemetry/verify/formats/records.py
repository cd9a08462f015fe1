"""Bytes to rows: where each row of a file begins and ends, whether it is well formed, and what its reader makes of it.

What the cells mean is left to the readers: a well-formed row is handed on in the pieces that its reader's pattern cuts. A
header among the rows changes the reader; behind one that nobody knows each line is a row that is not read.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from telemetry.verify.formats.base import Reading, Rules
from telemetry.verify.formats.grammar import MAX_RECORD, Bytes, grammar, unreadable, whole
from telemetry.verify.formats.heads import FileHeader, header, says_nothing

# Whatever the longest record is set to: what a row is known by must not change with a setting.
MAX_KEPT = 65_536

_EMPTY = re.compile(rb"\r?\n")
# What a reader may take a header for.
_OF_HEADERS = ("bad_timestamp", "bad_columns", "no_gpu")


class Row(NamedTuple):
    """One row: its byte range with the line end, why it is no record or its raw pieces, and what it says."""

    start: int
    end: int
    reason: str
    pieces: tuple[bytes, ...]
    readings: Sequence[Reading]


def rows(data: Bytes, head: FileHeader | None, rules: Rules, limit: int = MAX_RECORD) -> Iterator[Row]:
    """Every row after the header, in order; of a foreign file its first physical line."""
    if head is None:
        yield from [] if says_nothing(data) else islice(_lines(data, 0), 1)
        return
    at, size, known = head.end, len(data), head
    while at < size:
        row = _row(data, at, known, limit)
        if row is None:
            at = line_end(data, at)
            continue
        at = row.end
        if _may_be_header(data, row):
            line = data[row.start : row.end]
            repeats = known.reader.repeats(line)
            if repeats:
                continue
            other = header(line, row.end, rules)
            glued = line.find(known.names[0].encode(), 1) if other is None and repeats is None and known.names[0] else -1
            behind = header(line[glued:], row.end, rules) if glued > 0 else None
            if isinstance(behind, FileHeader) and behind.names != known.names:
                # The line was torn, and its writer began anew.
                yield row
                known = behind
                continue
            if isinstance(other, FileHeader):
                known = known if other.names == known.names else other
                continue
            if other is not None or repeats is False:
                known, at = yield from _unread(data, row.start, known, rules)
                continue
        yield row


def _may_be_header(data: Bytes, row: Row) -> bool:
    reason = row.readings[0].reason if row.readings else ""
    return reason in _OF_HEADERS or (reason == "bad_text" and data[row.start : row.start + 1] == b"\0")


def first(data: Bytes, head: FileHeader | None, limit: int = MAX_RECORD) -> Row | None:
    """The first row after the header, whatever it is: a source is known by it."""
    if head is None:
        return None if says_nothing(data) else next(_lines(data, 0))
    at, row = head.end, None
    while at < len(data) and (row := _row(data, at, head, limit)) is None:
        at = line_end(data, at)
    return row


def _row(data: Bytes, at: int, known: FileHeader, limit: int) -> Row | None:
    """The row at an offset, None for an empty line."""
    match = whole(known.reader.pattern, data, at, limit)
    if match is None:
        return _malformed(data, at, limit, known.reader.delimiter)
    if unreadable(match.group()):
        return _bad(at, line_end(data, at), "bad_text")
    known.reader.comes_to(data, at)
    return Row(at, match.end(), "", match.groups(), known.reader.read(match.groups()))


def _unread(data: Bytes, at: int, known: FileHeader, rules: Rules) -> Generator[Row, None, tuple[FileHeader, int]]:
    """The lines from an offset up to a header that a format knows. Returns that header, and the offset behind it."""
    for line in _lines(data, at):
        next_header = header(data[line.start : line.end], line.end, rules)
        if isinstance(next_header, FileHeader):
            return next_header, line.end
        if data[line.start : line.end].strip():
            yield line
    return known, len(data)


def _lines(data: Bytes, at: int) -> Iterator[Row]:
    """The physical lines from an offset, none of them read."""
    while at < len(data):
        yield _bad(at, at := line_end(data, at), "unknown_format")


def _bad(start: int, end: int, reason: str) -> Row:
    return Row(start, end, reason, (), (Reading(reason),))


def kept(data: Bytes, start: int, end: int) -> bytes:
    """What the quarantine keeps of a row: the beginning of its bytes, without the line end."""
    if data[end - 1 : end] == b"\n":
        end -= 2 if end - 2 >= start and data[end - 2 : end - 1] == b"\r" else 1
    return data[start : min(end, start + MAX_KEPT)]


def line_end(data: Bytes, at: int) -> int:
    """Where the physical line that holds `at` ends."""
    newline = data.find(b"\n", at)
    return len(data) if newline < 0 else newline + 1


def _malformed(data: Bytes, at: int, limit: int, delimiter: str) -> Row | None:
    """The first physical line of bytes that are no record under the header; None for an empty line."""
    if _EMPTY.match(data, at):
        return None
    end = line_end(data, at)
    if end - at > limit:
        return _bad(at, end, "too_long")
    if whole(grammar(delimiter).record, data, at, limit):
        return _bad(at, end, "bad_columns")
    cut_off = at + limit < len(data) and grammar(delimiter).cut_off.match(data, at, at + limit)
    return _bad(at, end, "too_long" if cut_off else "bad_quotes")
