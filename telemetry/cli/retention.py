"""`telemetry db retention`: what retention would drop, dropping it by hand, and letting the floor fall again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import click
import psycopg
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from telemetry.cli.database import with_database
from telemetry.cli.quantities import counted, size
from telemetry.cli.session import json_option, operator
from telemetry.cli.steps import do_all
from telemetry.settings import Settings
from telemetry.store import audit_log
from telemetry.store.read.retention import Retained, retained
from telemetry.store.upkeep import retention as dropping
from telemetry.store.upkeep.chores import RETENTION, USAGE
from telemetry.store.upkeep.retention import Plan
from telemetry.store.upkeep.units import date_of, day_of

DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option("--days", type=click.IntRange(1, 36_500), help="Keep so many days.  [default: TELEMETRY_RETENTION_DAYS]")
@click.option("--yes", is_flag=True, help="Drop it. Without this, only say what would be dropped.")
@click.option("--store-again-from", type=DAY, help="Let the floor fall: readings from this day on are stored again.")
@json_option
@with_database
@click.pass_context
def retention(
    ctx: click.Context, engine: Engine, days: int | None, yes: bool, store_again_from: datetime | None, as_json: bool
) -> None:
    """Say which samples are older than what is kept, and drop them with --yes.

    Partitions and months of sealed days are dropped, and the floor rises with them: readings of before it that come later
    are expired, which means that they are counted, and not stored. Exits 1 if something could not be dropped.
    """
    settings: Settings = ctx.obj
    if store_again_from is not None:
        _lower(engine, store_again_from.date(), as_json=as_json)
        return
    kept_days = days or settings.retention_days
    with engine.connect() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        levels, plan = retained(connection), dropping.plan(connection, kept_days) if kept_days else None
    before = _samples(levels)
    if plan is None or not yes:
        _tell(levels, plan, kept_days, as_json=as_json)
        return

    is_noted = False

    def work(connection: Connection, _: Settings, limit: int) -> int:
        nonlocal is_noted
        more = dropping.step_at_once(connection, kept_days, limit)
        if more and not is_noted:
            audit_log.note(connection, operator(), "retention.drop", "samples", {"days": kept_days})
            is_noted = True
        return more

    # Days wait for it, and collectors that have nothing to store do no chores.
    do_all(engine, settings, USAGE, USAGE.work)
    do_all(engine, settings, RETENTION, work)
    with engine.connect() as connection:
        levels, left = retained(connection), dropping.plan(connection, kept_days)
    after = _samples(levels)
    done = {"dropped": after.dropped - before.dropped, "partitions": after.partitions - before.partitions}
    if as_json:
        click.echo(json.dumps(done | {"floor": _floor(after)}))
    else:
        click.echo(f"{counted(done['dropped'], 'sample')} dropped; kept since {_floor(after)}")
    if left.parts:
        raise click.ClickException(
            "not all is dropped: another process seals or drops days, or readings of them came just now; run it again later"
        )


def _lower(engine: Engine, day: date, *, as_json: bool) -> None:
    try:
        with engine.begin() as connection:
            sources = dropping.lower(connection, (day - date_of(0)).days)
            if sources is not None:
                audit_log.note(connection, operator(), "retention.lower", "samples", {"from": str(day), "sources": sources})
    except OperationalError as error:
        if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
            raise
        raise click.ClickException("others kept their locks, the floor stays: run it again later") from None
    if as_json:
        click.echo(json.dumps({"has_fallen": sources is not None, "sources": sources or 0}))
    elif sources is None:
        click.echo(f"readings from {day} on are stored anyway: the floor is not above it")
    else:
        click.echo(f"readings from {day} on are stored when they come again; where retention is on, it drops them again")
        if sources:
            click.echo(
                f"the ledger has forgotten what of {counted(sources, 'source')} was expired: their edges read it again where "
                "an exporter runs, and after telemetry rewind; telemetry ingest stores it, too"
            )


def _tell(levels: list[Retained], plan: Plan | None, days: int, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"levels": [level.document() for level in levels], "plan": plan and _document(plan, days)}))
    else:
        click.echo("\n".join(_lines(levels, plan, days)))


def _lines(levels: list[Retained], plan: Plan | None, days: int) -> Iterator[str]:
    for level in levels:
        since = f"kept since {level.kept_since:%Y-%m-%d}" if level.kept_since else "all is kept"
        unit = "sample" if level.level == "samples" else "row"
        on = f", {counted(level.days, 'day')} by the setting" if level.days else ""
        yield f"{level.level:10} {since}{on}; {counted(level.dropped, unit)} dropped so far"
    if plan is None:
        yield "retention of samples is off: TELEMETRY_RETENTION_DAYS is not set, and --days not given"
        return
    for part in plan.parts:
        days_of = f"{date_of(part.unit.first)} to {date_of(part.unit.end)}"
        yield f"{days_of}  {part.unit.level:6} {counted(part.samples, 'sample'):>20}  {size(part.size_bytes):>9}"
    samples, size_bytes = sum(part.samples for part in plan.parts), sum(part.size_bytes for part in plan.parts)
    if plan.parts:
        yield (
            f"{counted(samples, 'sample')}, {size(size_bytes)}, would be dropped to keep {counted(days, 'day')}; "
            f"the floor would be {date_of(plan.floor_then)}: --yes does it"
        )
    elif not plan.waits_for_usage:
        yield f"nothing is older than {counted(days, 'day')}, or only a part of a partition or of a sealed month is"
    if plan.waits_for_usage:
        more = "more" if plan.parts else "what is older"
        yield f"{more} waits until the usage of its hours is summed up, which collectors do, and --yes before it drops"


def _document(plan: Plan, days: int) -> dict[str, Any]:
    return {
        "days": days,
        "floor": None if plan.floor is None else str(date_of(plan.floor)),
        "floor_then": str(date_of(plan.floor_then)),
        "waits_for_usage": plan.waits_for_usage,
        "samples": sum(part.samples for part in plan.parts),
        "size_bytes": sum(part.size_bytes for part in plan.parts),
        "parts": [
            {
                "tables": part.unit.tables,
                "level": part.unit.level,
                "first_day": str(date_of(part.unit.first)),
                "end_day": str(date_of(part.unit.end)),
                "samples": part.samples,
                "size_bytes": part.size_bytes,
            }
            for part in plan.parts
        ],
    }


def _samples(levels: list[Retained]) -> Retained:
    return next(level for level in levels if level.level == "samples")


def _floor(level: Retained) -> str | None:
    day = day_of(level.kept_since)
    return None if day is None else str(date_of(day))
