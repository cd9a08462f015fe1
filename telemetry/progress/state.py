"""What a streamer keeps of one source: a typed document with a version, JSON in the field `state` of the source's hash.

Owns the document, and what follows from it alone: how far the source is behind, and whether all of it is committed. `claims`
writes documents and `reading` reads them. The JSON names are those that streamers have written from the beginning: during an
upgrade, the replicas of one edge may be of this version and of the one before, and each reads what the other wrote.
"""

from __future__ import annotations

import json
import os
from typing import NamedTuple

import msgspec
from msgspec import Struct

from telemetry.progress.growth import Note, behind_since_us
from telemetry.progress.window import Window
from telemetry.readings.digests import wire_path

# Add one when a document of the version before can no longer be read as it stands, and convert it in `decode`.
VERSION = 1


class StateError(ValueError):
    """A document that cannot be read; the text says why."""


class Prefix(Struct, frozen=True, array_like=True):
    """A digest of the bytes [start, end) before an offset: if they have changed, the offset no longer means anything."""

    start: int
    end: int
    digest: str


class FirstRecord(NamedTuple):
    """Where the records of a source begin: byte offset and line (from 1)."""

    offset: int
    line: int


class Inode(NamedTuple):
    """What a file is known by while its name changes."""

    device: int
    number: int

    @classmethod
    def of(cls, status: os.stat_result) -> Inode:
        """That of a file of which this is the status."""
        return cls(status.st_dev, status.st_ino)


class Pace(NamedTuple):
    """Where a replay is: the time its pass begins at, the first time in the file, the latest time that was played.

    Microseconds since 1970. A source that is not replayed has no anchor.
    """

    anchor_us: int | None = None
    first_us: int = 0
    pass_end_us: int = 0


JSON_NAMES = {
    "first_record": "begin",
    "size_bytes": "size",
    "growth": "grown",
    "changed_us": "changed",
    "rows_read": "rows",
    "interpretation": "how",
    "anchor_us": "anchor",
    "first_us": "first",
    "pass_end_us": "pass_end",
    "unread_lines": "unread",
    "series_column": "unsteady",
    "generation": "history",
}


class SourceState(Struct, frozen=True, kw_only=True, rename=JSON_NAMES):
    """One source. `foreign`: no format knows its header. `interpretation`: how its bytes are read, part of each batch's id.

    `size_bytes` is the size of the file when its streamer last looked, `growth` since when it has been so large. `changed_us`
    is when that size was seen to change (broker's clock), or when the file was written before; 0 from streamers of before.
    `miss`: what a foreign file is instead. `unread_lines`: those behind headers that no format knows. `header`: the inherited
    one, of a file that has none. `series_column`: the column that makes a new series of nearly each record.
    `packed`: size and time of modification (ns) of a packed file; all offsets and sizes are those of its content. `generation`:
    that of the database by whose acknowledgements the window has moved on; empty where none was told. `gone`: at its path there
    is no file, or another one, so that it cannot be opened again.
    """

    version: int = VERSION
    path: str
    fingerprint: str
    foreign: bool
    inode: Inode
    first_record: FirstRecord
    size_bytes: int
    growth: tuple[Note, ...] = ()
    changed_us: int = 0
    window: Window
    window_bytes: int = 0
    rows_read: int
    prefix: Prefix
    interpretation: str | None = None
    anchor_us: int | None
    first_us: int = 0
    pass_end_us: int = 0
    miss: str = ""
    unread_lines: int = 0
    header: str = ""
    series_column: str = ""
    packed: tuple[int, int] | None = None
    generation: str = ""
    gone: bool = False

    @property
    def pace(self) -> Pace:
        """Where its replay is."""
        return Pace(self.anchor_us, self.first_us, self.pass_end_us)

    @property
    def format_name(self) -> str:
        """The format that its file begins with, empty if nobody knows it."""
        return "" if self.foreign or not self.interpretation else self.interpretation.partition("/")[0]

    @property
    def shown_path(self) -> str:
        """The path as text that can be stored and shown."""
        return wire_path(self.path)

    @property
    def is_read(self) -> bool:
        """Whether a format knows its header, and each header behind it."""
        return not self.foreign and not self.unread_lines

    @property
    def lag_bytes(self) -> int:
        """Bytes of the file that are not known to be committed. A foreign file has none: nobody will read it."""
        return 0 if self.foreign else max(0, self.size_bytes - self.window.committed)

    @property
    def lag_rows(self) -> int:
        """Rows that are not known to be committed, if the rows to come are as long as those before."""
        read_bytes = self.window.end - self.first_record.offset
        read_lines = self.window.end_line - self.first_record.line
        return round(self.lag_bytes * read_lines / read_bytes) if read_bytes else 0

    @property
    def window_ratio(self) -> float:
        """How full the window is: 1 and more when nothing new is published."""
        return self.window.span / self.window_bytes if self.window_bytes else 0.0

    @property
    def all_committed(self) -> bool:
        """Whether all that its streamer has seen of the file is committed, a last line without its end included."""
        return self.is_read and not self.window.flights and self.window.committed >= self.size_bytes

    @property
    def replayed_ratio(self) -> float | None:
        """How much of the present pass of a replay is committed, from 0 to 1; None of a source that is not replayed."""
        if self.anchor_us is None:
            return None
        records_bytes = self.size_bytes - self.first_record.offset
        done_bytes = self.window.committed - self.first_record.offset
        return min(1.0, max(0.0, done_bytes / records_bytes)) if records_bytes > 0 else 0.0

    def is_growing(self, now_us: int, quiet_s: float) -> bool:
        """Whether the file has changed its size within the last `quiet_s` seconds; `now_us` is the broker's clock."""
        return self.anchor_us is None and now_us - self.changed_us < quiet_s * 1_000_000

    def lag_s(self, now_us: int) -> float:
        """For how long the oldest byte that is not committed has been waiting; `now_us` is the broker's clock."""
        if self.foreign:
            return 0.0
        since_us = [flight.first_published_us for flight in self.window.flights if not flight.acked]
        # A replay is never read to its end: what lies ahead of it is not late.
        if self.anchor_us is None and (seen_us := behind_since_us(self.growth, self.window.committed)) is not None:
            since_us.append(seen_us)
        return max(0, now_us - min(since_us, default=now_us)) / 1_000_000


def encode(state: SourceState) -> str:
    """The document as JSON."""
    # Not msgspec's own encoder: a name of a file that is not UTF-8 holds lone surrogates, which it refuses.
    return json.dumps(msgspec.to_builtins(state), separators=(",", ":"))


def decode(document: bytes | str) -> SourceState:
    """The state a document holds. Raises StateError."""
    try:
        state = msgspec.convert(json.loads(document), SourceState)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise StateError(f"the state of a source cannot be read: {error}") from None
    if state.version > VERSION:
        raise StateError(f"the state of {state.shown_path} has version {state.version}, this process reads up to {VERSION}")
    return state
