"""Finds the cell for which a record is turned away: by trying, so that it holds for every format.

A record is read again with one cell after the other taken from a good record; the cell whose change makes it readable is to
blame. Words for people alone: nothing is read or stored by what stands here.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from telemetry.formats import records
from telemetry.formats.base import Format, Pass
from telemetry.formats.headers import OF_TIME
from telemetry.readings.rows import BLANK, REASON_CODE, kept

CELL = r'(?:"[^"]*(?:""[^"]*)*"|[^"%s\r\n]*)(%s|\Z)'
OF_TIMES = ("bad_timestamp", "ambiguous_time", "too_old", "too_new")
# Good records are looked for among so many.
LOOKED_AT = 500


class Blame(NamedTuple):
    """A place in a row: the number of its column (from 1), the name of that, empty where the header has none, and its text."""

    number: int
    name: str
    text: str


def blame(known: Format, row: bytes, reason: str, good: bytes | None, how: Pass) -> Blame | None:
    """The cell that a row was turned away for, None where no single one is. `good` is a good record under the same header."""
    if reason in ("bad_quotes", "bad_text"):
        return _at(known, *((_broken if reason == "bad_quotes" else _unreadable)(row, known.settings.delimiter)))
    cells, _ = records.first(row, max_record=len(row) + 1, final=True, delimiter=known.settings.delimiter)
    if cells and reason == "bad_columns":
        number = min(len(cells), len(known.columns)) + 1
        return _at(known, number, cells[number - 1] if number <= len(cells) else b"")
    if not cells or reason not in REASON_CODE or len(cells) != len(known.columns):
        return None
    places = [*_by_trying(known, cells, reason, good, how), *_times(known, reason)]
    return _at(known, places[0] + 1, cells[places[0]]) if places else None


def _by_trying(known: Format, cells: list[bytes], reason: str, good: bytes | None, how: Pass) -> list[int]:
    """The first place whose cell, taken from the good record, lets the record be read, as a list of at most one."""
    good, delimiter = good or b"", known.settings.delimiter
    donor, _ = records.first(good, max_record=len(good) + 1, final=True, delimiter=delimiter) if good else (None, 0)
    if not donor or len(donor) != len(cells):
        return []
    changed = (at for at, cell in enumerate(donor) if cell != cells[at])
    mended = (at for at in changed if not _is_turned_away(known, [*cells[:at], donor[at], *cells[at + 1 :]], reason, how))
    return [at for at in [next(mended, -1)] if at >= 0]


def _times(known: Format, reason: str) -> list[int]:
    """The places of times, where a time is the reason."""
    return [at for at, name in enumerate(known.columns) if OF_TIME.fullmatch(name)] if reason in OF_TIMES else []


def good_record(known: Format, block: bytes, max_record: int, how: Pass) -> bytes | None:
    """The first record of a block of which all can be read and something is read; None if there is none near."""
    taken = known.split(block, limit=LOOKED_AT, max_record=max_record, final=True)
    rows = known.read(taken, block[: taken.end], how)
    records_of = rows.record_of.tolist() if rows.record_of is not None else range(len(rows.reasons))
    bad: set[int] = set()
    good: dict[int, None] = {}
    for record, reason in zip(records_of, rows.reasons.tolist(), strict=True):
        if reason == 0:
            good[record] = None
        elif reason != BLANK:
            bad.add(record)
    first = next((record for record in good if record not in bad), None)
    return None if first is None else kept(block[int(rows.starts[first]) : int(rows.ends[first])])


def _is_turned_away(known: Format, cells: list[bytes], reason: str, how: Pass) -> bool:
    line = known.settings.delimiter.encode().join(b'"' + cell.replace(b'"', b'""') + b'"' for cell in cells) + b"\n"
    taken = known.split(line, limit=1, max_record=len(line) + 1, final=True)
    return bool(taken.malformed) or REASON_CODE[reason] in known.read(taken, line, how).reasons.tolist()


def _broken(row: bytes, delimiter: str) -> tuple[int, bytes]:
    """The number of the cell at which the grammar of records breaks, and the text from there."""
    number, at = 1, 0
    cell = re.compile((CELL % (re.escape(delimiter), re.escape(delimiter))).encode())
    while (match := cell.match(row, at)) and match[1]:
        number, at = number + 1, match.end()
    return number, row[at:]


def _unreadable(row: bytes, delimiter: str) -> tuple[int, bytes]:
    """The number of the cell that holds what is no text, about: delimiters in quotes count. And that text."""
    at = row.find(b"\0")
    if at < 0:
        try:
            row.decode()
        except UnicodeDecodeError as error:
            at = error.start
    return row.count(delimiter.encode(), 0, max(0, at)) + 1, row[max(0, at) :]


def _at(known: Format, number: int, text: bytes) -> Blame:
    name = known.columns[number - 1] if number <= len(known.columns) else ""
    return Blame(number, name, text.decode(errors="replace"))
