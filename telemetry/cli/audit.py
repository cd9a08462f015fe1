"""`telemetry audit`: shows how many samples are gone that were stored, and takes note that a loss is accepted.

The exporter finds them and has their files read again: `telemetry.audit`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click
from sqlalchemy import Engine

from telemetry.cli.data_dir import data_dir_option
from telemetry.cli.database import with_database
from telemetry.cli.foreign import plain
from telemetry.cli.quantities import counted
from telemetry.cli.session import json_option, operator
from telemetry.store import audit_log, shortfalls
from telemetry.store.read.counted import oldest_s


@click.group()
@data_dir_option(expose_value=False)
def audit() -> None:
    """Show how many samples are gone that were stored, or accept that they are."""


@audit.command()
@json_option
@with_database
@click.pass_context
def show(ctx: click.Context, engine: Engine, as_json: bool) -> None:
    """Show how many samples are gone, and which sources are read again for them. The exit code is 1 if some are gone."""
    with engine.connect() as connection:
        open_one, age_s = shortfalls.unsettled(connection), oldest_s(connection)
        again = [f"{one.edge} {one.fingerprint}" for one in shortfalls.rereads(connection)] if open_one else []
    hours = [_time(hour) for hour in (open_one.first_hour, open_one.end_hour)] if open_one else None
    missing, restored = (open_one.missing, open_one.restored) if open_one else (0, 0)
    if as_json:
        document = {"missing": missing, "restored": restored, "from_to": hours, "read_again": again, "counted_age_s": age_s}
        click.echo(json.dumps(document))
    else:
        click.echo("not every partition was counted yet" if age_s is None else f"all were counted in the last {age_s:,.0f} s")
        if hours:
            click.echo(f"{counted(missing, 'sample')} of {hours[0]} to {hours[1]} gone, {restored:,} of them are there again")
        for name in again:
            click.echo(plain(f"  read again: {name}"))
    ctx.exit(1 if missing > restored else 0)


@audit.command()
@json_option
@with_database
def accept(engine: Engine, as_json: bool) -> None:
    """Accept that samples are gone for good: nothing is read again for them, and the alert ends."""
    lost = 0
    with engine.begin() as connection:
        if not shortfalls.locked(connection):
            raise click.ClickException("the audit is at work; try again in a moment")
        if open_one := shortfalls.unsettled(connection):
            shortfalls.settle(connection, open_one)
            lost = open_one.missing - open_one.restored
            audit_log.note(connection, operator(), "audit.accept", str(open_one.id), {"lost": lost})
    if as_json:
        click.echo(json.dumps({"given_up": lost}))
    else:
        click.echo(f"{counted(lost, 'sample')} given up" if open_one else "nothing is missing")


def _time(hour: int) -> str:
    return datetime.fromtimestamp(3600 * hour, UTC).isoformat()
