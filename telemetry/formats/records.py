"""Splits bytes into records by the grammar of docs/RECORDS.md.

`split` takes as many records as asked for from the beginning of a block. A clean block goes through NumPy and Arrow;
a block with anything unusual in it is walked field by field, with the same result (a property test compares the two).
What the fields mean is the formats' business. Another split of the same bytes is a change of meaning: raise the versions of
the formats that split by this, as `telemetry.formats.base` says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

QUOTE, CR, LF = b'"\r\n'
COMMA = ","
# A field without quotes, by what separates fields.
PLAIN = {each: re.compile(rb'[^"%b\r\n]*' % each.encode()) for each in (COMMA, ";", "\t")}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# What surrounds a cell without being part of it.
BLANKS = " \t"
# In Latin-1, the signs of degrees and of micro where they can only be of a unit: `[°C]`, `62 °C`, `(µs)`.
UNIT_SIGN = re.compile(rb'(?<![^ \t\d\[(_/,;"])(?:\xb0[CFK]?|\xb5[sAVWJ])(?![A-Za-z0-9\x80-\xff])')

Offsets = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Malformed:
    """A physical line at which no record begins: its bytes [start, end) in the block, its line (from 0), the reason."""

    start: int
    end: int
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Records:
    """What `split` found: well-formed records by column, malformed lines, and how far it came.

    `starts`, `ends` (behind the line end) and `lines` have an entry a record; `end` and `end_line` are where the next
    block begins. `overlong` says that a line longer than the maximum begins at `end` and does not end in the block.
    """

    columns: list[pa.Array]
    starts: Offsets
    ends: Offsets
    lines: Offsets
    malformed: list[Malformed]
    end: int
    end_line: int
    overlong: bool = False

    @property
    def rows(self) -> int:
        """How many records and malformed lines there are."""
        return len(self.starts) + len(self.malformed)


def split(block: bytes, *, columns: int, limit: int, max_record: int, final: bool, delimiter: str = COMMA) -> Records:
    """Take up to `limit` rows from a block that begins at the beginning of a line.

    `final` says that nothing follows the block, ever: then a last record needs no line end. Otherwise what is
    incomplete is left for the next block. A record may have one more field than there are columns if that is blank: what
    stands behind a comma at its end.
    """
    clean = _split_clean(block, columns, limit, max_record, delimiter, final=final)
    return clean or _walk(block, columns, limit, max_record, delimiter, final=final)


def lines(block: bytes, *, columns: int, max_record: int) -> Records:
    """Records at the beginning of a block that are lines without quotes, as `split` has them; none where one is not clean.

    Where something in a block is out of the ordinary, less of it is tried.
    """
    for part in (1, 8, 64):
        tried = block[: block.rfind(b"\n", 0, len(block) // part) + 1]
        clean = b'"' not in tried and _split_clean(tried, columns, len(tried), max_record, COMMA, final=False)
        if clean:
            return clean
    nothing = np.zeros(0, np.int64)
    return Records([pa.array([], pa.string())] * columns, nothing, nothing, nothing, [], 0, 0)


def first(block: bytes, *, max_record: int, final: bool, delimiter: str = COMMA) -> tuple[list[bytes] | None, int]:
    """The fields of the first record of a block and where it ends; None if it is malformed.

    An end of -1 says that the block is too short to tell.
    """
    record = _record(block, 0, max_record, delimiter, final=final)
    if isinstance(record, tuple):
        return record
    return None, -1 if record == "incomplete" else 0


def texts(line: bytes) -> list[str]:
    """The cells of a line that commas separate, without the blanks around them; none of one that is malformed or no text."""
    cells, _ = first(line, max_record=len(line) + 1, final=True)
    return [decoded(cell).strip(BLANKS) for cell in cells] if cells and _is_clean(line) else []


def is_text(octets: bytes) -> bool:
    """Whether bytes are UTF-8, or would be but for signs of units in Latin-1."""
    if octets.isascii():
        return True
    try:
        octets.decode()
    except UnicodeDecodeError:
        return UNIT_SIGN.sub(b"", octets).isascii()
    return True


def decoded(octets: bytes) -> str:
    """The text of bytes of which `is_text` is true, or of a cell of them."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _split_clean(block: bytes, columns: int, limit: int, max_record: int, delimiter: str, *, final: bool) -> Records | None:
    """Split by NumPy and Arrow, or None when anything in the block is out of the ordinary."""
    octets = np.frombuffer(block, np.uint8)
    newlines = np.flatnonzero(octets == LF)
    quotes = np.flatnonzero(octets == QUOTE)
    ends = newlines[(np.searchsorted(quotes, newlines) & 1) == 0][:limit] + 1
    if final and len(ends) < limit and (not len(ends) or ends[-1] < len(block)):
        return None
    if not len(ends):
        return None
    taken = block[: ends[-1]]
    quotes = quotes[: np.searchsorted(quotes, len(taken))]
    starts = np.concatenate(([0], ends[:-1]))
    if (
        (ends - starts).max() > max_record
        or taken.startswith(BYTE_ORDER_MARK)  # Arrow would drop it
        or (octets[starts] == LF).any()
        or (octets[starts] == CR).any()
        or taken.count(b"\r") != taken.count(b"\r\n")
        or b"\0" in taken
        or not _is_utf8(taken)
        or not _quotes_in_place(octets, quotes, ord(delimiter))
    ):
        return None
    table = _arrow(taken, columns, delimiter) or _without_last(_arrow(taken, columns + 1, delimiter))
    if table is None or table.num_rows != len(ends):
        return None
    lines = np.searchsorted(newlines, starts)
    end_line = int(np.searchsorted(newlines, len(taken)))
    return Records([column.combine_chunks() for column in table.columns], starts, ends, lines, [], len(taken), end_line)


def _is_utf8(block: bytes) -> bool:
    # Where signs of units are in Latin-1, a record at a time is looked at.
    try:
        return block.isascii() or bool(block.decode())
    except UnicodeDecodeError:
        return False


def _quotes_in_place(octets: NDArray[np.uint8], quotes: Offsets, delimiter: int) -> bool:
    """Whether every opening quote begins a field and every closing one ends it.

    Quotes alternate between opening and closing; a doubled quote closes and opens again.
    """
    opening, closing = quotes[::2], quotes[1::2]
    before = octets[opening - 1]
    after = octets[np.minimum(closing + 1, len(octets) - 1)]
    opens = np.isin(before, (delimiter, LF, QUOTE)) | (opening == 0)
    closes = np.isin(after, (delimiter, LF, CR, QUOTE))
    return bool(opens.all() and closes.all())


def _arrow(block: bytes, columns: int, delimiter: str) -> pa.Table | None:
    names = [str(n) for n in range(columns)]
    try:
        return csv.read_csv(
            pa.BufferReader(block),
            csv.ReadOptions(column_names=names, use_threads=False, block_size=max(len(block) + 1, 1 << 12)),
            csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False),
            csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, check_utf8=False),
        )
    except pa.ArrowInvalid:
        return None


def _without_last(table: pa.Table | None) -> pa.Table | None:
    """A table without its last column if that is blank, None if it is not."""
    if table is None or pc.any(pc.not_equal(pc.utf8_trim(table.columns[-1], BLANKS), "")).as_py():
        return None
    return table.select(range(table.num_columns - 1))


@dataclass(slots=True)
class _Walk:
    """What the walk has found so far."""

    rows: list[list[bytes]] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    malformed: list[Malformed] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows) + len(self.malformed)


def _walk(block: bytes, columns: int, limit: int, max_record: int, delimiter: str, *, final: bool) -> Records:
    at, line, walk, overlong = 0, 0, _Walk(), False
    while at < len(block) and len(walk) < limit:
        if block.startswith((b"\n", b"\r\n"), at):
            at, line = block.index(b"\n", at) + 1, line + 1
            continue
        record = _record(block, at, max_record, delimiter, final=final)
        if record == "incomplete":
            break
        if isinstance(record, tuple):
            cells, end = record
            if len(cells) == columns + 1 and not cells[-1].strip(b" \t"):
                cells.pop()
            reason = "bad_columns" if len(cells) != columns else "" if _is_clean(block[at:end]) else "bad_text"
            if not reason:
                walk.rows.append(cells)
                walk.starts.append(at)
                walk.ends.append(end)
                walk.lines.append(line)
                at, line = end, line + block.count(b"\n", at, end)
                continue
        else:
            reason = record
        end = block.find(b"\n", at) + 1 or len(block)
        # Too long it is wherever the block ends, so that the line is taken out in the same way again.
        is_long = end - at > max_record
        if not final and not block.endswith(b"\n", at, end):
            overlong = is_long
            break
        walk.malformed.append(Malformed(at, end, line, "too_long" if is_long else reason))
        at, line = end, line + 1
    return Records(
        [pa.array([decoded(row[n]) for row in walk.rows], pa.string()) for n in range(columns)],
        np.array(walk.starts, np.int64),
        np.array(walk.ends, np.int64),
        np.array(walk.lines, np.int64),
        walk.malformed,
        at,
        line,
        overlong,
    )


def _is_clean(record: bytes) -> bool:
    return b"\0" not in record and is_text(record)


def _record(block: bytes, start: int, max_record: int, delimiter: str, *, final: bool) -> tuple[list[bytes], int] | str:
    """The fields of the record at `start` and where it ends; or `incomplete`, or the reason why no record begins there."""
    cells: list[bytes] = []
    at, plain, separator = start, PLAIN[delimiter], delimiter.encode()
    window = block if len(block) <= start + max_record else block[: start + max_record]
    cut = len(window) < len(block)
    short = "too_long" if cut or len(block) - start > max_record else "bad_quotes" if final else "incomplete"
    while True:
        if window.startswith(b'"', at):
            closing = _closing_quote(window, at)
            if closing < 0:
                return short
            cells.append(window[at + 1 : closing].replace(b'""', b'"'))
            at = closing + 1
        else:
            match = plain.match(window, at)
            assert match is not None, "the pattern matches the empty string"  # noqa: S101
            cells.append(match.group())
            at = match.end()
        if at >= len(window):
            if cut or not final:
                return "too_long" if cut else short
            return cells, at
        if window.startswith((b"\n", b"\r\n"), at):
            return cells, window.index(b"\n", at) + 1
        if window.startswith(b"\r", at) and at + 1 == len(window) and (cut or not final):
            return "too_long" if cut else short
        if not window.startswith(separator, at):
            return "bad_quotes"
        at += 1


def _closing_quote(block: bytes, opening: int) -> int:
    """Where the field that opens here closes, -1 if it does not in this block."""
    at = opening + 1
    while True:
        at = block.find(b'"', at)
        if at < 0 or not block.startswith(b'""', at):
            return at
        at += 2
