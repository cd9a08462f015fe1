"""A small file system in memory under the data of a server of a site, to be filled. Needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from telemetry.local.servers.server import Server, ServerError
from tests.faults.fault import SkipError

BLOCK = bytes(1 << 12)
S = TypeVar("S", bound=Server)


@contextmanager
def small_volume(server: S, size_mb: int, lose: Callable[[S], None] | None = None) -> Iterator[Path]:
    """The data directory of a server, on a file system of its own meanwhile. The server is stopped at both ends.

    If in the end it refuses what it has there, `lose` removes that, as an operator would.
    """
    data, before = server.directory / "data", server.directory / "data-before"
    server.stop()
    data.rename(before)
    data.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "none", str(data)]
    if subprocess.run(mounted, check=False, stderr=subprocess.DEVNULL).returncode:
        data.rmdir()
        before.rename(data)
        server.start()
        raise SkipError("no file system can be mounted here")
    _copy(before, data)
    try:
        server.start()
        yield data
    finally:
        server.stop()
        after = server.directory / "data-after"
        shutil.rmtree(before)
        _copy(data, after)
        subprocess.run(["umount", "--lazy", str(data)], check=True)
        data.rmdir()
        after.rename(data)
        try:
            server.start()
        except ServerError:
            if lose is None:
                raise
            lose(server)
            server.start()


def fill(volume: Path) -> Path:
    """Take all room that is left; the file that has it."""
    filler = volume / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as writing:
        while writing.write(BLOCK):
            pass
    return filler


def _copy(source: Path, target: Path) -> None:
    """Copy a directory with owners and modes, those of the directory itself too."""
    target.mkdir(exist_ok=True)
    subprocess.run(["cp", "-a", f"{source}/.", str(target)], check=True)
    status = source.stat()
    os.chown(target, status.st_uid, status.st_gid)
    target.chmod(status.st_mode & 0o777)
