"""What the first bytes of a file say: its format, where its records begin, its fingerprint."""

from __future__ import annotations

from dataclasses import dataclass

from telemetry.formats import records
from telemetry.formats.base import NO_SETTINGS, UNKNOWN, Format, SourceSettings
from telemetry.formats.registry import recognise
from telemetry.readings.digests import digest, fingerprint
from telemetry.readings.rows import MAX_KEPT_BYTES, kept


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a source: records begin at `end`, behind `lines` lines; the first `length` bytes make the fingerprint.

    Without a format the file is foreign: its first physical line is its only row.
    """

    format: Format | None
    end: int
    lines: int
    length: int
    fingerprint: str

    @property
    def format_name(self) -> str:
        """The name of the format, UNKNOWN for a foreign file."""
        return self.format.name if self.format else UNKNOWN


def needed_bytes(max_record: int) -> int:
    """Bytes of a file that are enough for `identify`, unless a great many empty lines stand in them."""
    return 2 * max(max_record, MAX_KEPT_BYTES) + max_record


def identify(head: bytes, *, max_record: int, final: bool, settings: SourceSettings = NO_SETTINGS) -> Head | None:
    """What a file's first bytes say, None if they are too few. `final` says that these are the whole file for ever."""
    start = len(records.BYTE_ORDER_MARK) if head.startswith(records.BYTE_ORDER_MARK) else 0
    cells, length = records.first(head[start:], max_record=max_record, final=final)
    if length < 0 or not head:
        return None
    recognised = recognise(cells, settings) if cells is not None else None
    if recognised is None:
        return _foreign(head, final=final)
    end = at = start + length
    while head.startswith((b"\n", b"\r\n"), at):
        at = head.index(b"\n", at) + 1
    rest = head[at:]
    one = recognised.split(rest, limit=1, max_record=max_record, final=final)
    if not one.rows and not one.overlong:
        return None
    length = min(one.end or len(rest), MAX_KEPT_BYTES) if one.malformed or one.overlong else one.end
    name = fingerprint(head[:end], rest[:length])
    return Head(recognised, end, head.count(b"\n", 0, end), at + length, name)


def _foreign(head: bytes, *, final: bool) -> Head | None:
    end = head.find(b"\n") + 1
    if not end and not final and len(head) < MAX_KEPT_BYTES:
        return None
    row = kept(head[: end or len(head)])
    return Head(None, 0, 0, len(row), digest(row))
