"""Where an archive is: a directory, or a path in an object store, as pyarrow's file systems reach it.

A file is written under a name that no reader looks for, and gets its own when it is whole: a reader sees all of it or nothing.
In a directory it is on the disk by then. The keys to an object store are those of its environment, and never part of a URL.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from telemetry.durable import sync

BLOCK_BYTES = 4 << 20
WRITING = "writing"


class ArchiveError(Exception):
    """What is wrong with an archive, in one line, with its mend."""


@dataclass(frozen=True)
class Place:
    """An archive: its file system, the path in it, and what it is called in texts and in the database."""

    system: Any
    root: str
    shown: str

    @classmethod
    def of(cls, url: str) -> Self:
        """The place of a URL, or of the path of a directory. Raises ArchiveError."""
        if "://" not in url:
            path = str(Path(url).expanduser().absolute())
            return cls(fs.LocalFileSystem(), path, f"file://{path}")
        parts = urlsplit(url)
        shown = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
        try:
            system, root = fs.FileSystem.from_uri(url)
        except ImportError as error:
            raise ArchiveError(f"this pyarrow cannot reach {shown}: {error}; install that of PyPI") from None
        except (pa.ArrowException, ValueError, OSError) as error:
            raise ArchiveError(f"{shown} is no place for an archive: {str(error).partition(chr(10))[0]}") from None
        return cls(system, root.rstrip("/"), shown)

    @property
    def is_local(self) -> bool:
        """Whether it is a directory of this machine."""
        return isinstance(self.system, fs.LocalFileSystem)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Tell errors of the file system in one line."""
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            raise ArchiveError(f"{self.shown}: {str(error).partition(chr(10))[0]}") from None

    @contextmanager
    def writing(self, path: str) -> Iterator[tuple[Any, str]]:
        """A stream to a new file, and the path that it has until `publish` gives it its own. Removed if the work fails."""
        aside = f"{WRITING}/{path.replace('/', '.')}.part"
        with self.errors():
            if self.is_local:
                Path(self._at(WRITING)).mkdir(parents=True, exist_ok=True)
            stream = self.system.open_output_stream(self._at(aside))
        try:
            yield stream, aside
        except BaseException:
            # To close it ends an upload, whole or not.
            with self.errors():
                stream.close()
            self.remove(aside)
            raise

    def publish(self, aside: str, path: str) -> None:
        """Give a file that is whole its name, in the place of a former one."""
        with self.errors():
            if not self.is_local:
                self.system.move(self._at(aside), self._at(path))
                return
            target = Path(self._at(path))
            target.parent.mkdir(parents=True, exist_ok=True)
            sync(Path(self._at(aside)))
            Path(self._at(aside)).replace(target)
            for directory in (target.parent, *target.parent.parents):
                sync(directory)
                if str(directory) == self.root:
                    break

    def write(self, path: str, data: bytes) -> None:
        """Write a small file, whole or not at all."""
        with self.writing(path) as (stream, aside):
            with self.errors():
                stream.write(data)
                stream.close()
            self.publish(aside, path)

    def read(self, path: str) -> bytes | None:
        """A small file, None if there is none."""
        try:
            with self.errors(), self.system.open_input_stream(self._at(path)) as stream:
                data: bytes = stream.read()
                return data
        except ArchiveError:
            if self.has(path):
                raise
            return None

    def open(self, path: str) -> Any:
        """A file to read here and there."""
        with self.errors():
            return self.system.open_input_file(self._at(path))

    def has(self, path: str) -> bool:
        """Whether there is a file."""
        with self.errors():
            return bool(self.system.get_file_info(self._at(path)).type == fs.FileType.File)

    def checksum(self, path: str) -> tuple[int, str]:
        """How many bytes a file has, and the SHA-256 of them."""
        size, total = 0, sha256()
        with self.errors(), self.system.open_input_stream(self._at(path)) as stream:
            while block := stream.read(BLOCK_BYTES):
                size += len(block)
                total.update(block)
        return size, total.hexdigest()

    def names(self, directory: str) -> list[str]:
        """The names of the files in a directory, in order; none if there is no such directory."""
        with self.errors():
            entries = self.system.get_file_info(fs.FileSelector(self._at(directory), allow_not_found=True))
        return sorted(info.base_name for info in entries if info.type == fs.FileType.File)

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        if self.has(path):
            with self.errors():
                self.system.delete_file(self._at(path))

    def _at(self, path: str) -> str:
        return f"{self.root}/{path}"
