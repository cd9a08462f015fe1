"""Which files an edge has begun, kept on its own disk: the broker may lose its keys together with the streamer.

A file that was renamed to where no pattern leads is known by its open descriptor and by the broker's keys alone. So the set of
open files is written down when it changes, with the inodes, by which such a file is found beside its former name. What is done
with a file that was found is decided in `renamed`.
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from telemetry.durable import sync
from telemetry.progress.losses import LostRange
from telemetry.readings.digests import digest, wire_path
from telemetry.settings import Settings
from telemetry.streamer.source import SourceFile
from telemetry.streamer.stream import Stream

# How far each file was committed is written so often.
REFRESH_S = 30.0
REASON = "the broker has lost what it knew of it, and its file is gone"

log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """A file that was begun: its path, what it begins with, its inode, and how far it was committed and went at that time."""

    path: str
    fingerprint: str
    inode: int
    committed: int
    size_bytes: int

    @property
    def lost(self) -> LostRange:
        """What is lost if nobody knows more of it."""
        return LostRange(wire_path(self.path), self.fingerprint, self.committed, max(self.size_bytes, self.committed), REASON)

    @property
    def key(self) -> tuple[str, str, int]:
        """What it is, whatever became of it."""
        return self.path, self.fingerprint, self.inode


@dataclass(slots=True)
class Begun:
    """The files that this edge has begun, in the state directory; in none if that is not set."""

    settings: Settings
    _written: frozenset[tuple[str, str, int]] | None = None
    _written_s: float = -math.inf
    _file: Path | None = field(init=False)

    def __post_init__(self) -> None:
        name = f"begun-{digest(self.settings.edge.encode())}.json"
        self._file = Path(self.settings.state_dir) / name if self.settings.state_dir else None

    def read(self) -> list[Entry]:
        """What was begun before this process; nothing if that is not known."""
        if self._file is None:
            return []
        try:
            return [Entry(*entry) for entry in json.loads(self._file.read_bytes())]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError) as error:
            log.warning("which files were begun before is not known: %s: %s", self._file, error)
            return []

    def keep(self, streams: Iterable[Stream], others: Iterable[Entry] = ()) -> None:
        """Write down which files are begun, if they are others than before: it is on the disk when this returns.

        How far they were committed is written with it, and now and then by itself.
        """
        if self._file is None:
            return
        entries = [*map(_entry, streams), *others]
        keys = frozenset(entry.key for entry in entries)
        if keys == self._written and time.monotonic() - self._written_s < REFRESH_S:
            return
        try:
            _write(self._file, json.dumps(entries).encode())
        except OSError as error:
            log.warning("cannot write which files were begun: %s: %s", self._file, error.strerror)
        # A disk that refuses is tried again at the next change.
        self._written, self._written_s = keys, time.monotonic()


def path_of(entry: Entry, settings: Settings) -> str | None:
    """Where a file is now that was begun: at its path, or beside it under another name. None if it is nowhere there."""
    return next((path for path in _candidates(entry) if _begins_alike(path, entry, settings)), None)


def _candidates(entry: Entry) -> Iterator[str]:
    """The paths in its directory that lead to its inode. The device is not compared: its number may change with a restart."""
    with suppress(OSError), os.scandir(Path(entry.path).parent) as names:
        yield from sorted(name.path for name in names if name.inode() == entry.inode)


def _begins_alike(path: str, entry: Entry, settings: Settings) -> bool:
    said = settings.of_source(entry.path)
    try:
        source = SourceFile.open(Path(path), max_record=settings.max_record_bytes, final=True, settings=said)
    except OSError:
        return False
    if source is None:
        return False
    with source:
        return source.head.fingerprint == entry.fingerprint


def _entry(stream: Stream) -> Entry:
    source = stream.source
    return Entry(str(source.path), source.head.fingerprint, source.inode().number, stream.window.committed, stream.seen_bytes)


def _write(file: Path, text: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_suffix(".new")
    with half.open("wb") as writing:
        writing.write(text)
        writing.flush()
        os.fsync(writing.fileno())
    half.replace(file)
    sync(file.parent)
