"""`telemetry db partitions`, `seal`, `drop`, `stats`, `check`: in which form the days of samples stand."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime
from typing import Any

import click
import psycopg
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from telemetry.cli.database import with_database
from telemetry.cli.quantities import size
from telemetry.cli.session import json_option, operator
from telemetry.cli.steps import do_all
from telemetry.settings import Settings
from telemetry.store import audit_log
from telemetry.store.read import levels
from telemetry.store.upkeep import dropping, sealing
from telemetry.store.upkeep.chores import SEALING

AT_MOST = 20


@click.command()
@json_option
@with_database
def partitions(engine: Engine, as_json: bool) -> None:
    """List the days of samples: those in rows, and those that are sealed."""
    with engine.connect() as connection:
        rows = levels.partitions(connection)
    if as_json:
        click.echo(json.dumps(rows, default=str))
        return
    for row in rows:
        what = f"{row['level']:13} {row['name']}, {size(row['size_bytes'])}" if row["name"] else row["level"]
        click.echo(f"{row['first_day']} to {row['end_day']}  {what}")


@click.command()
@click.option(
    "--before",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Seal the days before this one.  [default: those that ended TELEMETRY_SEAL_AFTER_DAYS ago, or a day]",
)
@json_option
@with_database
@click.pass_context
def seal(ctx: click.Context, engine: Engine, before: datetime | None, as_json: bool) -> None:
    """Seal days that are over, quiet or not, and merge what came late. It may be stopped at any time, and begun again.

    Run it when all collectors are of this version. Exits 1 if something is left that could not be sealed.
    """
    settings: Settings = ctx.obj
    with engine.connect() as connection:
        today = sealing.today(connection)
    until = (before.replace(tzinfo=UTC).date() - date(1970, 1, 1)).days if before else today - max(1, settings.seal_after_days)
    if until > today:
        raise click.UsageError("--before: a day that is not over cannot be sealed")
    samples = _sealed(engine)

    def work(connection: Connection, _: Settings, limit: int) -> int:
        return sealing.step_at_once(connection, until, limit)

    do_all(engine, settings, SEALING, work)
    with engine.connect() as connection:
        is_left = sealing.is_left(connection, until)
    count = _sealed(engine) - samples
    click.echo(json.dumps({"sealed": count, "left": is_left}) if as_json else f"{count:,} samples sealed")
    if is_left:
        raise click.ClickException(
            "not all is sealed: another process is at it, or readings still come (run it again), or a series has more than"
            f" {sealing.MAX_OF_SERIES:,} samples in one partition (it stays as it is)"
        )


@click.command()
@click.argument("month", type=click.DateTime(["%Y-%m"]), metavar="MONTH")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@with_database
def drop(engine: Engine, month: datetime, yes: bool, as_json: bool) -> None:
    """Drop the sealed days of a MONTH, such as 2026-01, for ever. What is not sealed stays.

    Readings of them that come again are stored again. Exits 1 if nothing could be dropped.
    """
    first = month.date()
    if not yes:
        with engine.connect() as connection:
            samples = dropping.number(connection, first)
        click.confirm(f"{samples:,} samples of {first:%Y-%m} go for ever. Drop them?", abort=True, err=True)
    try:
        with engine.begin() as connection:
            dropped = dropping.drop(connection, first)
            if dropped:
                audit_log.note(connection, operator(), "sealed.drop", f"{first:%Y-%m}", {"samples": dropped})
    except OperationalError as error:
        if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
            raise
        raise click.ClickException("others kept their locks, nothing was dropped: run it again later") from None
    if dropped is None:
        raise click.ClickException(f"days of {first:%Y-%m} are being sealed, nothing was dropped: run telemetry db seal first")
    click.echo(json.dumps({"dropped": dropped}) if as_json else f"{dropped:,} samples dropped")


@click.command()
@json_option
@with_database
def stats(engine: Engine, as_json: bool) -> None:
    """Show how many samples stand in which form, and how large they are, sealed ones by metric too."""
    with engine.connect() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        rows, metrics = levels.levels(connection), levels.metrics(connection)
    if as_json:
        click.echo(json.dumps({"levels": rows, "metrics": metrics}))
        return
    for row in rows:
        click.echo(f"{row['level']:8} {row['samples']:15,} samples  {size(row['size_bytes']):>9}{_each(row)}")
    for row in metrics:
        click.echo(f"{row['metric']:40} {row['samples']:15,} samples{_each(row)}")


@click.command()
@json_option
@with_database
def check(engine: Engine, as_json: bool) -> None:
    """Read all sealed days, and say what is wrong with them. Exits 1 if something is."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        wrong = levels.wrong(connection, AT_MOST)
    click.echo(json.dumps({"wrong": wrong}) if as_json else "\n".join(wrong or ["sealed days are as they should be"]))
    if wrong:
        sys.exit(1)


COMMANDS = (partitions, seal, drop, stats, check)


def _sealed(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT coalesce(sum(samples), 0) FROM sealed_spans")) or 0)


def _each(row: dict[str, Any]) -> str:
    return f"  {row['size_bytes'] / row['samples']:6.2f} bytes a sample" if row["samples"] else ""
