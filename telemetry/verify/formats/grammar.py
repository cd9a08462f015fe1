"""Fields and records as regular expressions, and how a cell sheds its quotes. Cutting a file into rows is left to `records`."""

from __future__ import annotations

import re
from functools import cache
from mmap import mmap
from typing import NamedTuple

Bytes = bytes | mmap

MAX_RECORD = 65_536
BOM = b"\xef\xbb\xbf"

# Atomic, so that a line without an end is given up after one pass over it.
_FIELD = rb'(?>"[^"]*+(?:""[^"]*+)*+"|[^"%b\r\n]*+)'
FIELD = _FIELD % b","
END = rb"(?:\r?\n|\Z)"
# Signs of degrees and of micro as Latin-1 has them, at the places of units.
_OF_UNITS = re.compile(rb'(?:^|(?<=[ \t0-9\[(_/,;"]))(?:\xb0[CFK]?|\xb5[AJVWs])(?=$|[^0-9A-Za-z\x80-\xff])')


class Grammar(NamedTuple):
    """The patterns of files whose fields one character separates.

    A field, a record, one that is cut off, a field before the character, and how a record ends: perhaps with one more of these
    characters.
    """

    field: bytes
    record: re.Pattern[bytes]
    cut_off: re.Pattern[bytes]
    leading: re.Pattern[bytes]
    end: bytes


@cache
def grammar(delimiter: str) -> Grammar:
    """The patterns by the character that separates fields."""
    mark = delimiter.encode()
    field = _FIELD % mark
    return Grammar(
        field,
        re.compile(rb"(?:%b%b)*+%b%b" % (field, mark, field, END)),
        re.compile(rb'(?:%b%b)*+(?:"[^"]*+(?:""[^"]*+)*+|%b\r?)\Z' % (field, mark, field)),
        re.compile(rb"(%b)%b" % (field, mark)),
        rb'(?:%b(?:[ \t]*|"[ \t]*"))?' % mark + END,
    )


def cells(record: bytes, delimiter: str = ",") -> list[bytes]:
    """The raw cells of a record without its line end."""
    return grammar(delimiter).leading.findall(record + delimiter.encode())


def text(cell: bytes) -> str:
    """A raw cell without its quotes and the blanks around it."""
    bare = unquoted(cell)
    try:
        whole_text = bare.decode()
    except UnicodeDecodeError:
        whole_text = bare.decode("latin-1")
    return whole_text.strip(" \t")


def unquoted(cell: bytes) -> bytes:
    """A raw cell without its quotes."""
    return cell[1:-1].replace(b'""', b'"') if cell[:1] == b'"' else cell


def whole(pattern: re.Pattern[bytes], data: Bytes, at: int, limit: int) -> re.Match[bytes] | None:
    """A match that is a whole record, not one that ends only because the search did."""
    match = pattern.match(data, at, at + limit)
    if match is not None and match.end() == at + limit < len(data) and data[at + limit - 1] != ord("\n"):
        return None
    return match


def unreadable(record: bytes) -> bool:
    """Whether a record is not text: it holds a NUL byte, or bytes that are neither UTF-8 nor, in Latin-1, of a unit."""
    if b"\0" in record:
        return True
    try:
        record.decode()
    except UnicodeDecodeError:
        return not all(byte < 128 for byte in _OF_UNITS.sub(b"", record))  # noqa: PLR2004 - ASCII
    return False


def beginning(data: Bytes) -> int:
    """Where a file begins to say something: behind the NULs that a writer leaves who does not append to a file that was cut."""
    match = re.match(rb"\0*", data)
    return match.end() if match and match.end() < len(data) else 0
