"""What the first bytes of a file say: its format, where its records begin, its fingerprint."""

from __future__ import annotations

import re
from dataclasses import dataclass

from telemetry.formats import records
from telemetry.formats.base import UNKNOWN, Format, Limits, Pass
from telemetry.formats.misses import miss
from telemetry.formats.registry import recognise
from telemetry.readings.digests import digest, fingerprint
from telemetry.readings.extent import Place
from telemetry.readings.rows import BLANK, MAX_KEPT_BYTES, kept
from telemetry.readings.source_settings import NO_SETTINGS, SourceSettings

# What people, spreadsheets and nvidia-smi (a date and a table) write above a header.
DATE = rb"[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9]\d [0-9:]{8} \d{4}[ \t\r]*"
PREAMBLE = re.compile(rb"(?:(?:[ \t]*\r?|[#+|][^\n]*|[sS][eE][pP]=[^\n]*|%b)\n)*" % DATE)
NO_HEADER_YET = re.compile(rb"[ \t\r]*|[#+|][^\n]*|[sS][eE][pP]=[^\n]*")
# So many records of a file without a header must be readable by the header that it inherits, if there are as many.
FITTING = 3
ANY_TIME = Pass(Limits(-(1 << 60), 1 << 60), 0)


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a source: records begin at `end`, behind `lines` lines; bytes up to `length` make the fingerprint.

    `header` is the header as it stands there. Of a file without one it is the `inherited` header that its records are
    read by. Without a format the file is foreign: its first physical line is its only row, and `miss` says what it is instead.
    All offsets count the `nuls` before the head.
    """

    format: Format | None
    end: int
    lines: int
    length: int
    fingerprint: str
    header: bytes = b""
    is_inherited: bool = False
    miss: str = ""
    nuls: int = 0

    @property
    def first(self) -> Place:
        """Where its records begin."""
        return Place(self.end, self.lines + 1)

    @property
    def mark(self) -> str:
        """What tells how records are read from what the file itself says; empty where the header stands in the file."""
        return digest(self.header) if self.is_inherited else ""

    @property
    def format_name(self) -> str:
        """The name of the format, UNKNOWN for a foreign file."""
        return self.format.name if self.format else UNKNOWN


def needed_bytes(max_record: int) -> int:
    """Bytes of a file that are enough for `identify`, unless a great many empty lines stand in them."""
    return 2 * max(max_record, MAX_KEPT_BYTES) + max_record


def identify(
    head: bytes, *, max_record: int, final: bool, settings: SourceSettings = NO_SETTINGS, inherited: bytes = b""
) -> Head | None:
    """What a file's first bytes say, None if they are too few. `final` says that these are the whole file for ever.

    `inherited` is the header of the file before this one, by which it is read if it has none of its own and fits; a header that
    the operator gives goes before.
    """
    start = len(records.BYTE_ORDER_MARK) if head.startswith(records.BYTE_ORDER_MARK) else 0
    start = _below_comments(head, start, settings)
    if NO_HEADER_YET.fullmatch(head, start):
        return None if len(head) < needed_bytes(max_record) else _foreign(head, start, settings, final=final)
    cells, length = records.first(head[start:], max_record=max_record, final=final, delimiter=settings.delimiter)
    if length < 0:
        return None
    recognised = recognise(cells, settings) if cells is not None else None
    if recognised is None:
        candidate = _headless(head, inherited, max_record, settings, final=final)
        return candidate or _foreign(head, start, settings, final=final)
    end = start + length
    while (line := _line(head, end)) and recognised.repeats(line):
        end += len(line)
    at = end
    while head.startswith((b"\n", b"\r\n"), at):
        at = head.index(b"\n", at) + 1
    rest = head[at:]
    one = recognised.split(rest, limit=1, max_record=max_record, final=final)
    if not one.rows and not one.overlong:
        return None
    length = min(one.end or len(rest), MAX_KEPT_BYTES) if one.malformed or one.overlong else one.end
    name = fingerprint(head[:end], rest[:length])
    return Head(recognised, end, head.count(b"\n", 0, end), at + length, name, head[start:end])


def _below_comments(head: bytes, start: int, settings: SourceSettings) -> int:
    """Where the header begins: below all that may stand above one, or at the first comment that is itself a header."""
    end = PREAMBLE.match(head, start).end()  # type: ignore[union-attr]  # it matches the empty string
    while start < end:
        line = _line(head, start)
        cells, _ = records.first(line, max_record=len(line) + 1, final=True, delimiter=settings.delimiter)
        if line.startswith(b"#") and cells and recognise(cells, settings):
            break
        start += len(line)
    return start


def _line(head: bytes, start: int) -> bytes:
    """The physical line that begins at an offset, as far as it is there."""
    return head[start : head.find(b"\n", start) + 1 or len(head)]


def _headless(head: bytes, inherited: bytes, max_record: int, settings: SourceSettings, *, final: bool) -> Head | None:
    """A head without a header: read by the one that the operator gives, or by the inherited one if its first records fit."""
    header = settings.header.encode() or inherited
    cells, _ = records.first(header, max_record=len(header) + 1, final=True, delimiter=settings.delimiter)
    known = recognise(cells or [], settings)
    if known is None:
        return None
    taken = known.split(head, limit=FITTING, max_record=max_record, final=final)
    reasons = known.read(taken, head[: taken.end], ANY_TIME).reasons.tolist()
    fits = not taken.malformed and all(reason in (0, BLANK) for reason in reasons)
    if not taken.rows or not (fits or settings.header):
        return None
    # Known by the same as if it were foreign, whether a header was inherited or not.
    row = kept(head[: head.find(b"\n") + 1 or len(head)])
    return Head(known, 0, 0, len(row), digest(row), header, is_inherited=True)


def _foreign(head: bytes, start: int, settings: SourceSettings, *, final: bool) -> Head | None:
    end = head.find(b"\n") + 1
    if not end and not final and len(head) < MAX_KEPT_BYTES:
        return None
    row = kept(head[: end or len(head)])
    return Head(None, 0, 0, len(row), digest(row), miss=miss(head, start, settings))
