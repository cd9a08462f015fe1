"""The header of a file, and the pattern that a record under it follows.

Owns the grammar of fields and records as regular expressions, and how a cell sheds its quotes. Cutting a file into
rows is left to `records`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from mmap import mmap

Bytes = bytes | mmap

MAX_RECORD = 65_536
BOM = b"\xef\xbb\xbf"

# Atomic, so that a line without an end is given up after one pass over it.
_FIELD = rb'(?>"[^"]*+(?:""[^"]*+)*+"|[^",\r\n]*+)'
_END = rb"(?:\r?\n|\Z)"
RECORD = re.compile(rb"(?:%b,)*+%b%b" % (_FIELD, _FIELD, _END))
CUT_OFF = re.compile(rb'(?:%b,)*+(?:"[^"]*+(?:""[^"]*+)*+|%b\r?)\Z' % (_FIELD, _FIELD))
_LEADING = re.compile(rb"(%b)," % _FIELD)
_TRAILING = re.compile(rb",(%b)" % _FIELD)


@dataclass(frozen=True, slots=True)
class Layout:
    """A header we know: the names of its columns, where its record ends, and the pattern of a record under it."""

    names: tuple[str, ...]
    end: int
    pattern: re.Pattern[bytes]
    stamp_first: bool

    def cells(self, rest: tuple[bytes, bytes, bytes]) -> dict[str, str]:
        """The cells around timestamp and value, by column."""
        names = [name for name in self.names if name not in ("timestamp", "value")]
        raw = _LEADING.findall(rest[0]) + _LEADING.findall(rest[1]) + _TRAILING.findall(rest[2])
        return {name: text(cell) for name, cell in zip(names, raw, strict=True)}


def text(cell: bytes) -> str:
    """A raw cell without its quotes and the blanks around it."""
    return unquoted(cell).decode().strip(" \t")


def unquoted(cell: bytes) -> bytes:
    """A raw cell without its quotes."""
    return cell[1:-1].replace(b'""', b'"') if cell[:1] == b'"' else cell


def layout(data: Bytes, limit: int = MAX_RECORD) -> Layout | None:
    """The header of a file, or None if it is foreign."""
    start = len(BOM) if data[:3] == BOM else 0
    found = whole(RECORD, data, start, limit)
    if found is None or unreadable(found.group()):
        return None
    record = found.group().removesuffix(b"\n").removesuffix(b"\r")
    names = tuple(text(cell) for cell in _LEADING.findall(record + b","))
    known = set(names)
    has_gpu = "uuid" in known or {"Hostname", "gpu_id"} <= known
    if len(known) < len(names) or not has_gpu or not {"timestamp", "metric_name", "value"} <= known:
        return None
    low, high = sorted((names.index("timestamp"), names.index("value")))
    runs = (low, high - low - 1, len(names) - high - 1)
    pattern = rb"((?:%b,){%d})(%b),((?:%b,){%d})(%b)((?:,%b){%d})" % (
        *(_FIELD, runs[0], _FIELD),
        *(_FIELD, runs[1], _FIELD),
        *(_FIELD, runs[2]),
    )
    return Layout(names, found.end(), re.compile(pattern + _END), names[low] == "timestamp")


def whole(pattern: re.Pattern[bytes], data: Bytes, at: int, limit: int) -> re.Match[bytes] | None:
    """A match that is a whole record, not one that ends only because the search did."""
    found = pattern.match(data, at, at + limit)
    if found is not None and found.end() == at + limit < len(data) and data[at + limit - 1] != ord("\n"):
        return None
    return found


def unreadable(record: bytes) -> bool:
    """Whether a record holds what is no text: a NUL byte, or bytes that are not UTF-8."""
    if b"\0" in record:
        return True
    try:
        record.decode()
    except UnicodeDecodeError:
        return True
    return False
