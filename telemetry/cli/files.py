"""The files that `ingest` and `verify` are given: directories are looked into, pipes spooled, all else is refused."""

from __future__ import annotations

import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import click

from telemetry.readings.names import CSV_ENDINGS

SUFFIX = ".csv"
STDIN = Path("-")
# Of what was passed over in a directory, the names of so many are told.
NAMED = 5

PATHS = click.Path(path_type=Path, exists=True, allow_dash=True)
paths_argument = click.argument("paths", nargs=-1, required=True, metavar="PATH…", type=PATHS)
some_paths_argument = click.argument("paths", nargs=-1, metavar="[PATH…]", type=PATHS)


@dataclass(slots=True)
class Spool:
    """A directory of its own for what comes through pipes, made when it is needed. At its end it tells what it still has."""

    directory: Path | None = None
    files: list[Path] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for file in self.files:
            click.echo(f"what came through the pipe is kept in {file}", err=True)

    def take(self, path: Path) -> Path:
        """Read a pipe to its end into a file. Raises OSError."""
        if self.directory is None:
            self.directory = Path(tempfile.mkdtemp(prefix="telemetry-ingest-")).resolve()
        name = "stdin" if path == STDIN else path.name
        file = self.directory / f"{name}-{len(self.files)}{SUFFIX}"
        with file.open("wb") as target:
            if path == STDIN:
                shutil.copyfileobj(sys.stdin.buffer, target)
            else:
                with path.open("rb") as pipe:
                    shutil.copyfileobj(pipe, target)
        self.files.append(file)
        return file

    def remove(self) -> None:
        """Remove what was spooled: the database has it."""
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)
        self.directory, self.files = None, []


def regular(paths: Sequence[Path], spool: Spool | None = None) -> list[Path]:
    """The files to read, each once, in order: those that are named, those in directories that are named, and what is spooled.

    Says on standard error what it passes over. Raises UsageError for what is no file; without a spool, for pipes too.
    """
    files: dict[Path, None] = {}
    for path in paths:
        mode = None if path == STDIN else path.stat().st_mode
        if mode is not None and stat.S_ISREG(mode):
            files[path] = None
        elif mode is not None and stat.S_ISDIR(mode):
            files |= dict.fromkeys(_inside(path))
        elif mode is not None and not _is_nameless_pipe(path, mode):
            kind = "a pipe with a name" if stat.S_ISFIFO(mode) else "a device or a socket"
            raise click.UsageError(f"{path} is {kind}, not a file; write it to a file first, or send it through -")
        elif spool is None:
            raise click.UsageError(f"{'standard input' if path == STDIN else path} is a pipe; only files can be compared")
        else:
            files[spool.take(path)] = None
    return list(files)


def _is_nameless_pipe(path: Path, mode: int) -> bool:
    """Whether a path stands for a pipe of the shell, such as /dev/stdin or that of <(…): it leads to no name."""
    return stat.S_ISFIFO(mode) and not path.resolve().exists()


def _inside(directory: Path) -> Iterable[Path]:
    """The files of a directory that are named as CSV, packed or not, as `telemetry up --csv` takes them."""
    tell_passed_over(directory)
    files = [path for path in sorted(directory.iterdir()) if _is_taken(path)]
    if not files:
        raise click.UsageError(f"{directory} has no file named *{SUFFIX}, packed or not")
    return files


def tell_passed_over(directory: Path) -> None:
    """Say on standard error what in a directory is no file that is named as CSV, if there is anything."""
    others = [path.name for path in sorted(directory.iterdir()) if not _is_taken(path)]
    if others:
        shown = ", ".join(others[:NAMED]) + (", …" if len(others) > NAMED else "")
        click.echo(
            f"{directory}: passed over what is no file named *{SUFFIX} or *{SUFFIX}.gz, .zst, .xz: {shown} ({len(others):,})",
            err=True,
        )


def _is_taken(path: Path) -> bool:
    return path.name.endswith(CSV_ENDINGS) and path.is_file()
