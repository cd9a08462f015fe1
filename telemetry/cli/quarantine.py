"""`telemetry quarantine`: shows rows that could not be read as readings, writes them out, or reads them again.

How they are read again is `telemetry.collector.quarantine_retry`'s.
"""

from __future__ import annotations

import base64
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import IO, Any

import click
from sqlalchemy import Connection, Engine, Row

from telemetry.cli.data_dir import data_dir_option
from telemetry.cli.database import with_database
from telemetry.cli.foreign import plain
from telemetry.cli.moments import SINCE
from telemetry.cli.quantities import counted
from telemetry.cli.session import everywhere, json_option, operator
from telemetry.collector.quarantine_retry import QuarantineRetry
from telemetry.readings.mends import MENDS
from telemetry.settings import Settings
from telemetry.store.read import quarantined
from telemetry.store.read.ingest import QuarantineFilter

TEXT_WIDTH = 100
# A bigint of Postgres.
LARGEST_ID = 2**63 - 1


def some_rows(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which rows, as one filter for each source that they name."""

    @click.option("--edge", help="Only rows of this edge.")
    @click.option("--source", metavar="ID|PATH", help="Only rows of this source: its path, or its id in /api/v1/sources.")
    @click.option("--reason", type=click.Choice(sorted(MENDS)), help="Only rows with this reason.")
    @click.option("--since", type=SINCE, help="Only rows in quarantine since then, such as 2026-11-05T10:00:00Z.")
    @wraps(function)
    def chosen(
        engine: Engine, edge: str | None, source: str | None, reason: str | None, since: datetime | None, **options: Any
    ) -> None:
        with engine.connect() as connection:
            filters = [QuarantineFilter(edge, source_id, reason, since) for source_id in _source_ids(connection, source)]
            function(connection, filters, **options)

    return chosen


def _source_ids(connection: Connection, source: str | None) -> list[int | None]:
    if source is None:
        return [None]
    if source.isascii() and source.isdecimal() and int(source) <= LARGEST_ID:
        return [int(source)]
    ids = quarantined.sources_at(connection, source)
    if not ids:
        raise click.ClickException(f"the database knows no source at {source}; /api/v1/sources lists them")
    return [*ids]


@click.group()
@data_dir_option(expose_value=False)
def quarantine() -> None:
    """Look at rows that could not be read as readings, write them to a file, or read them again."""


@quarantine.command(name="list")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Rows shown, the latest first.")
@json_option
@with_database
@some_rows
def list_rows(connection: Connection, filters: list[QuarantineFilter], limit: int, as_json: bool) -> None:
    """List quarantined rows: where each stood, why it is here, and its text. Then what each reason means."""
    rows = [row for some in filters for row in quarantined.listed(connection, some, limit)]
    rows = sorted(rows, key=lambda row: -row.id)[:limit]
    if as_json:
        click.echo(json.dumps([_document(row) for row in rows]))
        return
    for row in rows:
        place = f"{row.edge} {row.path}:{row.line}"
        click.echo(f"{row.id}  {row.quarantined_at:%Y-%m-%d %H:%M:%S}  {row.reason}  {plain(place)}  {_shown(row.raw)}")
    reasons = sum((quarantined.reasons(connection, some) for some in filters), Counter[str]())
    click.echo(f"{counted(reasons.total(), 'row')} in quarantine, {len(rows):,} shown" if reasons else "nothing in quarantine")
    for reason, number in reasons.most_common():
        mend = MENDS.get(reason)
        click.echo(f"  {reason} {number:,}{f': {mend.wrong}; {mend.do}' if mend else ''}")


@quarantine.command()
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file to write.  [default: -]")
@json_option
@with_database
@some_rows
def export(connection: Connection, filters: list[QuarantineFilter], output: Path | None, as_json: bool) -> None:
    """Write quarantined rows out, in the order of their files: byte for byte as they stood, or with --json a line of JSON each.

    The rows as they stood have no header: write the one of their file above them, mend them, and
    telemetry ingest stores them. Of a row longer than 65,536 bytes only the beginning was kept; standard error names it.
    """
    number = 0
    with _opened(output) as stream:
        for some in filters:
            for row in quarantined.listed(connection, some):
                number += 1
                stream.write((json.dumps(_document(row)).encode() if as_json else row.raw) + b"\n")
                if row.reason == "too_long":
                    click.echo(f"{row.path}:{row.line}: of a row that is too long only the beginning may be kept", err=True)
    click.echo(f"{counted(number, 'row')} written", err=True)


@quarantine.command()
@json_option
@with_database
@some_rows
@click.pass_obj
def retry(settings: Settings, connection: Connection, filters: list[QuarantineFilter], as_json: bool) -> None:
    """Read quarantined rows again: those that are readings by now are stored, and leave quarantine.

    For rows that were judged by a wrong clock or setting, or by an older version of their format. They are read as their edge
    reads their file now, so give this machine the edge's settings (TELEMETRY_SOURCE_SETTINGS). The exit code is 1 if rows of a
    source could not be looked at.
    """
    with everywhere(settings) as edges:
        retries = QuarantineRetry(settings, connection.engine, edges.client_of)
        done = [source for some in filters for source in retries(some, actor=operator())]
    if as_json:
        click.echo(json.dumps([source._asdict() for source in done]))
    for source in [] if as_json else done:
        result = source.unreadable or f"{source.left:,} left quarantine, {source.stored:,} samples are new"
        click.echo(f"{plain(f'{source.edge} {source.path}')}: {result}; {counted(source.stay, 'row')} in quarantine")
    if not done and not as_json:
        click.echo("nothing in quarantine")
    sys.exit(1 if any(source.unreadable for source in done) else 0)


@contextmanager
def _opened(output: Path | None) -> Iterator[IO[bytes]]:
    """Standard output, or a new file."""
    if output is None or output == Path("-"):
        yield sys.stdout.buffer
        return
    try:
        with output.open("xb") as file:
            yield file
    except FileExistsError:
        raise click.ClickException(f"{output} is there already; name another file, or remove it") from None
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}") from None


def _document(row: Row[Any]) -> dict[str, Any]:
    """A row for programs: `raw` is its text; of one that is not UTF-8 it is null, and `raw_base64` has its bytes."""
    text = _decoded(row.raw)
    encoded = {} if text is not None else {"raw_base64": base64.b64encode(row.raw).decode()}
    return {
        "id": row.id,
        "edge": row.edge,
        "source": row.source,
        "path": row.path,
        "line": row.line,
        "byte_offset": row.byte_offset,
        "reason": row.reason,
        "quarantined_at": row.quarantined_at.astimezone(UTC).isoformat(),
        "raw": text,
        **encoded,
    }


def _decoded(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _shown(raw: bytes) -> str:
    text = raw[: 4 * TEXT_WIDTH].decode(errors="replace")[:TEXT_WIDTH]
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
