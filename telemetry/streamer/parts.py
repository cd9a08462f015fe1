"""A part of a large file, as one process asks another to read it, and the reading.

The other process opens the file by the first one's descriptor, so that it reads what that one does, whatever the path leads to
by now.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from telemetry.formats.base import ByLines
from telemetry.readings.extent import Place
from telemetry.readings.payload import Packed
from telemetry.readings.source_settings import SourceSettings
from telemetry.streamer.batching import CutBatch, Cutter, Reader
from telemetry.streamer.source import SourceFile

# A file that is read no more may be unpacked content, whose room on the disk is free when nobody has it open.
KEPT_OPEN_S = 3.0


@dataclass(frozen=True, slots=True)
class File:
    """A file as one process has it. `path` leads to its descriptor; the last two are what ids of batches are made of."""

    path: str
    reader: Reader
    settings: SourceSettings
    inherited: bytes
    final: bool
    fingerprint: str
    interpretation: str

    @classmethod
    def of(cls, source: SourceFile, reader: Reader) -> File | None:
        """A file that is open here; None where another process cannot open it: no /proc, or its bytes are made."""
        path, head = f"/proc/{os.getpid()}/fd/{source.descriptor()}", source.head
        if source.descriptor() is None or not Path(path).exists():
            return None
        inherited = head.header if head.is_inherited else b""
        how = Cutter(source, reader).interpretation()
        return cls(path, reader, source.settings, inherited, source.final, head.fingerprint, how)

    def open(self) -> SourceFile:
        """The file. Raises OSError, also where it is not read as it is by the process that asks."""
        path, max_record = Path(self.path), self.reader.max_record
        source = SourceFile.open(
            path, max_record=max_record, final=self.final, settings=self.settings, inherited=self.inherited
        )
        if source is not None:
            how = Cutter(source, self.reader).interpretation()
            if (source.head.fingerprint, how) == (self.fingerprint, self.interpretation):
                return source
            source.close()
        raise OSError("another process reads it otherwise")


class Part(NamedTuple):
    """A part of a file, up to the place behind it: so many whole batches, each of as many records as have `limit` readings.

    Parts of one `turn` follow on each other; it is the number of no other turn of the process that asks.
    """

    file: File
    turn: int
    place: Place
    behind: Place
    batches: int
    limit: int
    now_us: int


class Answer(NamedTuple):
    """The batches of a part, packed; none if it could not be read, by an `error`.

    `series` are those that the file has made in this process and in no answer of this turn; `column` is that which makes too
    many (`series_bound`).
    """

    batches: list[CutBatch]
    series: frozenset[str] = frozenset()
    column: str = ""
    error: str = ""


@dataclass(slots=True)
class _Open:
    source: SourceFile
    sent: frozenset[str] = frozenset()
    used_s: float = 0.0


@dataclass(slots=True)
class Parts:
    """Reads the parts that one process asks for. Keeps the files open of which it reads, for what their formats have learnt."""

    _open: dict[int, _Open] = field(default_factory=dict)

    def answer(self, part: Part) -> Answer:
        """Read a part."""
        try:
            if part.turn not in self._open:
                self._open[part.turn] = _Open(part.file.open())
            opened = self._open[part.turn]
            opened.used_s = time.monotonic()
            return _read(part, opened)
        except Exception as error:  # noqa: BLE001 - whatever it is, the process that asks reads by itself then
            return Answer([], error=f"{type(error).__name__}: {error}")

    def let_go(self) -> None:
        """Close the files that nobody has asked about for KEPT_OPEN_S."""
        now_s = time.monotonic()
        for turn, opened in list(self._open.items()):
            if now_s - opened.used_s > KEPT_OPEN_S:
                self._open.pop(turn).source.close()


def _read(part: Part, opened: _Open) -> Answer:
    cutter, size_bytes = Cutter(opened.source, part.file.reader), part.behind.offset - part.place.offset
    row_bytes = size_bytes / (part.batches * part.limit)
    batches = []
    for batch in cutter.batches(part.place, limit=part.limit, room_bytes=size_bytes, now_us=part.now_us, row_bytes=row_bytes):
        batches.append(replace(batch, readings=Packed.of(batch.readings)))
        if batch.extent.end_header:
            break
    known = opened.source.section(0).format
    if not isinstance(known, ByLines):
        return Answer(batches)
    new = frozenset(known.bound.made) - opened.sent
    opened.sent |= new
    return Answer(batches, new, known.bound.column)
