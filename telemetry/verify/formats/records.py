"""Bytes to rows: where each row of a file begins and ends, and whether it is well formed.

What the cells mean is left to the readers. A well-formed row is handed on in the pieces that its reader's pattern cuts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from telemetry.verify.formats.grammar import CUT_OFF, MAX_RECORD, RECORD, Bytes, unreadable, whole
from telemetry.verify.formats.heads import FileHeader

# Whatever the longest record is set to: what a row is known by must not change with a setting.
MAX_KEPT = 65_536

_EMPTY = re.compile(rb"\r?\n")


class Row(NamedTuple):
    """One row: its byte range with the line end, and either a reason to quarantine it or its raw pieces."""

    start: int
    end: int
    reason: str = ""
    pieces: tuple[bytes, ...] = ()


def rows(data: Bytes, head: FileHeader | None, limit: int = MAX_RECORD) -> Iterator[Row]:
    """Every row after the header, in order; of a foreign file its first physical line."""
    if head is None:
        if len(data):
            yield Row(0, line_end(data, 0), "unknown_format")
        return
    at, size, pattern = head.end, len(data), head.reader.pattern
    while at < size:
        match = whole(pattern, data, at, limit)
        if match is None:
            row = _malformed(data, at, limit)
        elif unreadable(match.group()):
            row = Row(at, line_end(data, at), "bad_text")
        else:
            row = Row(at, match.end(), "", match.groups())
        if row is None:
            at = line_end(data, at)
        else:
            yield row
            at = row.end


def kept(data: Bytes, start: int, end: int) -> bytes:
    """What the quarantine keeps of a row: the beginning of its bytes, without the line end."""
    if data[end - 1 : end] == b"\n":
        end -= 2 if end - 2 >= start and data[end - 2 : end - 1] == b"\r" else 1
    return data[start : min(end, start + MAX_KEPT)]


def line_end(data: Bytes, at: int) -> int:
    """Where the physical line that holds `at` ends."""
    newline = data.find(b"\n", at)
    return len(data) if newline < 0 else newline + 1


def _malformed(data: Bytes, at: int, limit: int) -> Row | None:
    """The first physical line of bytes that are no record under the header; None for an empty line."""
    if _EMPTY.match(data, at):
        return None
    end = line_end(data, at)
    if end - at > limit:
        return Row(at, end, "too_long")
    if whole(RECORD, data, at, limit):
        return Row(at, end, "bad_columns")
    cut_off = at + limit < len(data) and CUT_OFF.match(data, at, at + limit)
    return Row(at, end, "too_long" if cut_off else "bad_quotes")
