"""`telemetry ingest`: streams files once, each to its end, and waits until the centre has committed them."""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click
import kombu.exceptions

from telemetry import garbage
from telemetry.celery import make_app
from telemetry.cli.files import Spool, regular, some_paths_argument
from telemetry.cli.ingested import NO_COUNTS, Ingested, Ledger, Published, Unread, outcome
from telemetry.cli.session import connected, data_dir_option, json_option, load_settings
from telemetry.cli.to_the_end import Files
from telemetry.progress.state import Inode
from telemetry.readings.digests import source_id
from telemetry.readings.names import INGEST
from telemetry.settings import Settings
from telemetry.streamer.adoption import former
from telemetry.streamer.arrival import arrive
from telemetry.streamer.batching import TYPICAL_ROW_BYTES
from telemetry.streamer.contents import UnpackError, is_whole
from telemetry.streamer.followed import Followed
from telemetry.streamer.pool import Pool, free_cores
from telemetry.streamer.publish import publisher
from telemetry.streamer.source import SourceFile
from telemetry.streamer.tick import Streamer

BATCH_SIZE = 5000
# So many that each process of a collector finds a whole group to store while it stores another.
WINDOW_BATCHES = 25
MAX_PROCESSES = 16
# Which files are read by several processes is known when they are open; what is packed is larger then.
FOR_POOL_BYTES = 1 << 20
# glibc's parameters of mallopt: https://man7.org/linux/man-pages/man3/mallopt.3.html
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES, LARGEST_BYTES = 256 << 20, 32 << 20
GARBAGE_OBJECTS = 50_000


@click.command()
@some_paths_argument
@click.option("--wait/--no-wait", default=True, help="Wait until all is committed (default), or only until all is published.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    help="Give up after so many seconds.  [default: never]",
)
@click.option(
    "--batch-size", type=click.IntRange(1, 100_000), default=BATCH_SIZE, show_default=True, help="Readings in a batch."
)
@click.option(
    "--final", is_flag=True, help="The files are complete: read a last line that has no line end, however new the file is."
)
@click.option(
    "--processes",
    "count",
    type=click.IntRange(0, MAX_PROCESSES),
    help="Processes that read large files beside this one, which publishes.  [default: the cores beyond two, but 2 at most]",
)
@click.option(
    "--archive",
    "archive_url",
    metavar="PLACE",
    help="Read days of an archive (telemetry archive) back into the database, past the broker. Takes no PATH.",
)
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="With --archive: from this day on.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="With --archive: to this day, which is included.")
@click.option("--store-again", is_flag=True, help="With --archive: store also what is older than the database keeps.")
@json_option
@data_dir_option
def ingest(
    paths: tuple[Path, ...],
    wait: bool,
    timeout_s: float | None,
    batch_size: int,
    final: bool,
    count: int | None,
    archive_url: str | None,
    since: datetime | None,
    until: datetime | None,
    store_again: bool,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Stream files once through the broker to the collectors, to the last row, and exit 0 when all is committed.

    Every row is read and published again at each call; what is stored already is not stored twice. A last line
    without a line end may be half of one: it is left, unless the file was quiet for a minute (TELEMETRY_CLOSE_AFTER_S) or
    --final is given. It says how many readings were new, how many the database had, and how many rows went to
    quarantine, by reason. Exits 1 if lines were not read (no format knows the header above them) or left, a file could not be
    read or changed too early, readings have another value than the stored ones, batches are dead letters now, or the time
    was up.

    Of a directory it takes the files named *.csv, also packed (.gz, .zst, .xz). What comes through a pipe (- or <(…)) is
    written to a file first.

    \b
    telemetry ingest /var/dumps/*.csv
    """  # noqa: D301  # click's \b, which keeps the line apart
    if (archive_url is None) == (not paths):
        raise click.UsageError("give either files to read, or --archive")
    if archive_url is None and (since or until or store_again):
        raise click.UsageError("--since, --until and --store-again are of --archive")
    settings = load_settings(data_dir)
    _prepare_for_bulk()
    if archive_url is not None:
        try:
            archived = importlib.import_module("telemetry.cli.archived")
        except ModuleNotFoundError as error:
            # An edge has no driver for the database.
            raise click.ClickException(f"--archive needs {error.name}; install telemetry-pipeline[central]") from None
        archived.ingest(settings, archive_url, since, until, store_again=store_again, as_json=as_json)
        return
    edge = f"{INGEST}/{settings.edge.partition('/')[2]}"
    settings = replace(settings.of_edge(edge), sources=(), loop_mode=False, batch_size=batch_size, catch_up_size=1)
    # Several batches must be under way, however large they are. A file is what it is by itself, whatever came from its path,
    # and what an earlier call had begun is not read on.
    settings = replace(
        settings,
        inherit_headers=False,
        state_dir=None,
        window_bytes=max(settings.window_bytes, WINDOW_BATCHES * batch_size * TYPICAL_ROW_BYTES),
    )
    with Spool() as spool, Pool() as pool:
        files = _distinct(path.resolve() for path in regular(paths, spool))
        if any(path.stat().st_size >= FOR_POOL_BYTES for path in files):
            pool.start(free_cores() if count is None else count)

        def is_growing(path: Path) -> bool:
            return not final and path not in spool.files and _may_grow(path, settings.close_after_s)

        growing = {str(path) for path in files if is_growing(path)}
        done = _streamed(settings, files, growing, is_growing, spool, pool, wait=wait, timeout_s=timeout_s, quiet=as_json)
    click.echo(json.dumps(done.as_json()) if as_json else done.text())
    sys.exit(0 if done.is_success else 1)


def _distinct(paths: Iterable[Path]) -> list[Path]:
    """Each file once, whatever names it has: a source has one path at a time."""
    try:
        return sorted({Inode.of(path.stat()): path for path in sorted(paths, reverse=True)}.values())
    except OSError as error:
        raise click.ClickException(f"cannot read {error.filename}: {error.strerror}") from None


def _may_grow(path: Path, quiet_s: float) -> bool:
    """Whether a file may still be written: it changed a moment ago, and is not packed and whole."""
    try:
        return time.time() - path.stat().st_mtime < quiet_s and not is_whole(path)
    except OSError:
        # Who opens it says why it cannot be read.
        return False


def _streamed(
    settings: Settings,
    files: list[Path],
    growing: set[str],
    is_growing: Callable[[Path], bool],
    spool: Spool,
    pool: Pool,
    *,
    wait: bool,
    timeout_s: float | None,
    quiet: bool,
) -> Ingested:
    """Stream files to their ends, and learn what became of their rows. What was spooled goes once the database has it."""
    started_s = time.monotonic()
    deadline_s = started_s + timeout_s if timeout_s else None
    try:
        with connected(settings) as client:
            client.ping()
            arrive(settings, client)
            ledger = Ledger(settings) if wait else None
            published = Published(publisher(make_app(settings), settings))
            followed = Followed()
            streamer = Streamer(settings, client, published, final=True, growing=growing, pool=pool, listener=followed)
            foreign = _begin_anew(streamer, files)
            on_their_way = Files(streamer, followed, files, growing, is_growing, wait)
            try:
                on_their_way.stream(deadline_s, hidden=quiet or not sys.stderr.isatty())
                counts = ledger.counts(published.copies()) if ledger else NO_COUNTS
                seconds = time.monotonic() - started_s
                # And those whose first record was complete only meanwhile.
                for name, stream in streamer.streams.items():
                    source = stream.source
                    if source.head.format is None and name not in foreign:
                        foreign[name] = Unread(str(source.path), source.physical_lines(), source.head.miss)
                for name in on_their_way.withdrawn(foreign):
                    del foreign[name]
                reads = list(followed.reads.values())
                gaps = foreign, on_their_way.left(), on_their_way.failed(), followed.losses
                done = outcome(reads, *gaps, counts, of=len(files), seconds=seconds, committed=wait)
            finally:
                streamer.close()
            if done.is_held:
                for read in reads:
                    if Path(read.path) in spool.files:
                        # No streamer will find it again.
                        streamer.claims.forget(read.source_id)
                spool.remove()
    except kombu.exceptions.OperationalError as error:
        raise click.ClickException(f"cannot reach the broker: {error}") from None
    return done


def _prepare_for_bulk() -> None:
    """Look for garbage seldom, as reading makes no cycles, and keep what is freed: new pages for each block are slow to get."""
    garbage.settle()
    gc.set_threshold(GARBAGE_OBJECTS)
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def _begin_anew(streamer: Streamer, paths: list[Path]) -> dict[str, Unread]:
    """Forget what an earlier call left: it is no proof of a commit. Returns the sources that no format knows, by id."""
    foreign: dict[str, Unread] = {}
    known, forgotten, settings = streamer.claims.sources(), set[str](), streamer.settings
    for path in paths:
        try:
            is_closed = str(path) not in streamer.growing
            said = settings.of_source(str(path))
            source = SourceFile.open(
                path, max_record=settings.max_record_bytes, final=is_closed, settings=said, bench=streamer.bench, whole=True
            )
        except UnpackError as error:
            raise click.ClickException(f"cannot read {path}: {error}") from None
        except OSError as error:
            raise click.ClickException(f"cannot read {path}: {error.strerror}") from None
        if source is None:
            continue
        with source:
            name = source_id(source.head.fingerprint, str(path))
            forgotten.add(name)
            if source.head.format is None:
                foreign[name] = Unread(str(path), source.physical_lines(), source.head.miss)
            # Under a former name, too: a renamed file would go on from there.
            forgotten |= set(former(known, source, settings))
    for name in forgotten:
        streamer.claims.forget(name)
    return foreign
