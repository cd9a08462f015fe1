"""`telemetry archive`: writes sealed days as Parquet files, for ever, and checks them. `archived` reads them back."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import click
from sqlalchemy import Engine

from telemetry.archive import checking, writing
from telemetry.archive.places import ArchiveError, Place
from telemetry.archive.runs import DisorderError
from telemetry.cli.data_dir import data_dir_option
from telemetry.cli.database import with_database
from telemetry.cli.quantities import counted, size
from telemetry.cli.session import json_option
from telemetry.settings import Settings

to_option = click.option(
    "--to", "url", help="A directory, or s3://bucket/path and the like.  [default: TELEMETRY_ARCHIVE_URL]", metavar="PLACE"
)


@click.group(invoke_without_command=True)
@to_option
@click.option("--before", type=click.DateTime(["%Y-%m-%d"]), help="Write the days before this one.  [default: all]")
@click.option("--dry-run", is_flag=True, help="Only say what would be written.")
@click.option("--replace", is_flag=True, help="Write a day anew even if its file has samples that the database has not.")
@json_option
@data_dir_option(expose_value=False)
@click.pass_context
def archive(ctx: click.Context, url: str | None, before: datetime | None, dry_run: bool, replace: bool, as_json: bool) -> None:
    """Write sealed days that are not archived yet, or not as they are now, as Parquet files, and verify each.

    A day is a file of its own, whole or not there at all. It may be stopped at any time, and run again. The keys to an object
    store are taken from its environment, such as AWS_ACCESS_KEY_ID. Exits 1 if a day could not be archived.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(write, url=url, before=before, dry_run=dry_run, replace=replace, as_json=as_json)


@click.command()
@with_database
@click.pass_context
def write(
    ctx: click.Context,
    engine: Engine,
    url: str | None,
    before: datetime | None,
    dry_run: bool,
    replace: bool,
    as_json: bool,
) -> None:
    """Write the days, and tell of each."""
    until = before.replace(tzinfo=UTC).date() if before else date.max
    done: list[dict[str, Any]] = []
    with _in_one_line():
        place = _place(ctx.obj, url)
        for day in writing.pending(engine, place, until):
            if dry_run:
                done.append({"day": str(day.day), "samples": day.samples, "became": "pending"})
            else:
                done.append(_written(engine, place, day.day, replace=replace))
            if not as_json:
                click.echo(_line(done[-1]))
    refused = [one for one in done if one["became"] == "refused"]
    samples = sum(one["samples"] for one in done)
    if as_json:
        click.echo(json.dumps({"place": place.shown, "days": done, "samples": samples}))
    else:
        days = f"{counted(len(done) - len(refused), 'day')}, {counted(samples, 'sample')}"
        click.echo(f"{days} {'would be written to' if dry_run else 'archived in'} {place.shown}")
    if refused:
        raise click.ClickException(f"{counted(len(refused), 'day')} could not be archived, and will not be dropped as archived")


@archive.command()
@to_option
@json_option
@with_database
@click.pass_context
def verify(ctx: click.Context, engine: Engine, url: str | None, as_json: bool) -> None:
    """Read all files, and compare them with their manifests, and with the database bit for bit where it has the day.

    A day that is not well is not archived any more as far as retention is concerned. Exits 1 if there is one.
    """
    results = []
    with _in_one_line():
        place = _place(ctx.obj, url or (ctx.parent.params["url"] if ctx.parent else None))
        for checked in checking.check(engine, place):
            results.append(checked)
            if not as_json:
                why = f": {checked.why}" if checked.why else ""
                click.echo(f"{checked.day}  {checked.state:8} {counted(checked.samples, 'sample'):>20}{why}")
        missing = writing.pending(engine, place, date.max)
    wrong = [one for one in results if not one.is_well]
    if as_json:
        days = [{**one._asdict(), "day": str(one.day)} for one in results]
        pending = [str(one.day) for one in missing]
        click.echo(json.dumps({"place": place.shown, "days": days, "pending": pending, "wrong": len(wrong)}))
    else:
        click.echo(f"{counted(len(results), 'day')} verified in {place.shown}, {len(wrong):,} of them wrong")
        if missing:
            click.echo(f"{counted(len(missing), 'sealed day')} to be archived: run telemetry archive")
    if wrong:
        sys.exit(1)


def _place(settings: Settings, url: str | None) -> Place:
    if not (url := url or settings.archive_url):
        raise click.UsageError("--to is missing, and TELEMETRY_ARCHIVE_URL is not set: where is the archive?")
    return Place.of(url)


def _written(engine: Engine, place: Place, day: date, *, replace: bool) -> dict[str, Any]:
    try:
        written = writing.write(engine, place, day, replace=replace)
    except (ArchiveError, DisorderError) as error:
        return {"day": str(day), "samples": 0, "became": "refused", "why": str(error)}
    return {**written._asdict(), "day": str(day)}


def _line(one: dict[str, Any]) -> str:
    if one["became"] == "refused":
        return f"{one['day']}  refused: {one['why']}"
    bytes_ = f"  {size(one['size_bytes']):>9}" if "size_bytes" in one else ""
    return f"{one['day']}  {one['became']:8} {counted(one['samples'], 'sample'):>20}{bytes_}"


@contextmanager
def _in_one_line() -> Iterator[None]:
    try:
        yield
    except ArchiveError as error:
        raise click.ClickException(str(error)) from None
    except writing.BusyError:
        raise click.ClickException("another process archives: run it again later") from None
