"""A part of a large file, as one process asks another to read it, and the reading.

The other process opens the file by the first one's descriptor, so that it reads what that one does, whatever the path leads to
by now.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from telemetry.progress.state import Inode
from telemetry.readings.extent import Place
from telemetry.readings.payload import Packed
from telemetry.readings.source_settings import SourceSettings
from telemetry.streamer.batching import CutBatch, Cutter, Reader
from telemetry.streamer.source import SourceFile

# As many files another process keeps open.
MAX_OPEN = 8


class OtherwiseError(Exception):
    """The other process does not read the file as the one does that asks."""


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
        """A source that is open here; None where another process cannot open it: there is no /proc, or its bytes are made."""
        path, head = f"/proc/{os.getpid()}/fd/{source.descriptor()}", source.head
        if source.descriptor() is None or not Path(path).exists():
            return None
        inherited = head.header if head.is_inherited else b""
        how = Cutter(source, reader).interpretation()
        return cls(path, reader, source.settings, inherited, source.final, head.fingerprint, how)


class Part(NamedTuple):
    """A part of a file, up to the place behind it: so many whole batches, each of as many records as have `limit` readings.

    Whoever drops what it has asked for asks with another `turn` from then on.
    """

    file: File
    turn: int
    place: Place
    behind: Place
    batches: int
    limit: int
    now_us: int


class Answer(NamedTuple):
    """The batches of a part, packed, and the series in them that stood in no answer of this process in this turn."""

    batches: list[CutBatch]
    series: list[str]


@dataclass(slots=True)
class _Open:
    source: SourceFile
    turn: int = 0
    told: set[str] = field(default_factory=set)


# Another file may be at the same descriptor by now.
_open: dict[tuple[File, Inode], _Open] = {}


def read(part: Part) -> Answer:
    """Read a part. Raises OtherwiseError, and OSError."""
    opened = _opened(part.file)
    if opened.turn != part.turn:
        opened.turn, opened.told = part.turn, set()
    cutter, size_bytes = Cutter(opened.source, part.file.reader), part.behind.offset - part.place.offset
    row_bytes = size_bytes / (part.batches * part.limit)
    batches, new = [], set[str]()
    for batch in cutter.batches(part.place, limit=part.limit, room_bytes=size_bytes, now_us=part.now_us, row_bytes=row_bytes):
        new.update(batch.readings.series)
        batches.append(replace(batch, readings=Packed.of(batch.readings)))
    new -= opened.told
    opened.told |= new
    return Answer(batches, list(new))


def _opened(file: File) -> _Open:
    name = (file, Inode.of(os.stat(file.path)))  # noqa: PTH116 - it is a descriptor
    if name not in _open:
        if len(_open) >= MAX_OPEN:
            _open.pop(next(iter(_open))).source.close()
        path, max_record = Path(file.path), file.reader.max_record
        source = SourceFile.open(
            path, max_record=max_record, final=file.final, settings=file.settings, inherited=file.inherited
        )
        if source is None:
            raise OtherwiseError(file.path)
        how = Cutter(source, file.reader).interpretation()
        if (source.head.fingerprint, how) != (file.fingerprint, file.interpretation):
            source.close()
            raise OtherwiseError(file.path)
        _open[name] = _Open(source)
    return _open[name]
