"""Finds a place for a server's Unix socket.

It is `run/` in the server's directory. A path that a socket address cannot hold, or that a URL or an option would have
to quote, is replaced by a private directory in the system's temporary one; `run` is then a symbolic link to it.
"""

from __future__ import annotations

import re
import shutil
import stat
import tempfile
from pathlib import Path

# sockaddr_un holds 104 bytes on macOS and 108 on Linux, the closing zero included.
MAX_PATH_BYTES = 103
PLAIN = re.compile(r"[A-Za-z0-9/._-]+")


def place(directory: Path, name: str, owner: int) -> Path:
    """An empty directory, private to `owner`, in which a socket `name` can be made."""
    run = directory / "run"
    if _fits(run / name):
        _remove(run)
        run.mkdir(mode=0o700)
        return run
    if run.is_symlink() and not _private(run, owner):
        # After a reboot somebody else may have made a directory of that name.
        run.unlink()
    if not run.is_symlink():
        _remove(run)
        # The directory that TMPDIR names may have a long path, too.
        roots = [tempfile.gettempdir(), "/tmp"]  # noqa: S108 (mkdtemp makes a private directory)
        root = next((r for r in roots if _fits(Path(r) / "telemetry-12345678" / name)), roots[-1])
        run.symlink_to(tempfile.mkdtemp(prefix="telemetry-", dir=root))
    target = run.readlink()
    for stale in target.iterdir():
        stale.unlink()
    return target


def release(directory: Path) -> None:
    """Remove what `place` made."""
    run = directory / "run"
    if run.is_symlink():
        shutil.rmtree(run.readlink(), ignore_errors=True)
    _remove(run)


def _fits(path: Path) -> bool:
    return len(str(path).encode()) <= MAX_PATH_BYTES and PLAIN.fullmatch(str(path)) is not None


def _private(run: Path, owner: int) -> bool:
    try:
        status = run.readlink().lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == owner and stat.S_IMODE(status.st_mode) == stat.S_IRWXU


def _remove(run: Path) -> None:
    if run.is_symlink():
        run.unlink()
    elif run.exists():
        shutil.rmtree(run)
