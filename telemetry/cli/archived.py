"""What `telemetry ingest --archive` does: days of an archive go back into the database."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from datetime import UTC, date, datetime

import click
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from telemetry.archive.places import ArchiveError, Place
from telemetry.archive.returning import Archive, Returned
from telemetry.cli.database import database
from telemetry.cli.quantities import counted
from telemetry.settings import Settings
from telemetry.store.read.retention import retained
from telemetry.store.upkeep import retention
from telemetry.store.upkeep.units import date_of
from telemetry.store.write.returning import Classes


def ingest(
    settings: Settings, url: str, since: datetime | None, until: datetime | None, *, store_again: bool, as_json: bool
) -> None:
    """Store days of an archive, tell what became of their samples, and exit 1 if not all of them are in the database now."""
    started_s = time.monotonic()
    first, last = (moment and moment.replace(tzinfo=UTC).date() for moment in (since, until))
    with database(settings, "ingest") as engine:
        try:
            archive = Archive(settings, engine, Place.of(url))
            days = archive.days(first, last)
            if not days:
                raise click.ClickException(f"{url} has no day of an archive in that time")
            if store_again:
                _lower(engine, days[0])
            done = []
            for day in days:
                done.append(archive.give_back(day))
                if not as_json:
                    click.echo(_line(done[-1]))
        except ArchiveError as error:
            raise click.ClickException(str(error)) from None
        kept_days = _kept_days(engine)
    classes = sum((Counter(one.classes._asdict()) for one in done), Counter[str]())
    damaged = [one for one in done if one.why]
    if as_json:
        seconds = round(time.monotonic() - started_s, 3)
        fields = {"new": classes["stored"], "known": classes["duplicate"]} | {
            name: classes[name] for name in ("conflict", "expired")
        }
        shown = {"days": len(done), "samples": sum(one.samples for one in done), "seconds": seconds, **fields}
        click.echo(json.dumps(shown | {"damaged": [str(one.day) for one in damaged]}))
    else:
        click.echo(f"{counted(len(done), 'day')}: {_classes(Classes(**{name: classes[name] for name in Classes._fields}))}")
    _advise(classes["expired"], kept_days, days[0])
    if damaged or classes["conflict"] or classes["expired"]:
        sys.exit(1)


def _lower(engine: Engine, day: date) -> None:
    try:
        with engine.begin() as connection:
            retention.lower(connection, (day - date_of(0)).days)
    except OperationalError as error:
        raise click.ClickException(f"the floor stays where it is: {error.orig}; run it again later") from None


def _kept_days(engine: Engine) -> int | None:
    with engine.connect() as connection:
        return next((level.days for level in retained(connection) if level.level == "samples"), None)


def _advise(expired: int, kept_days: int | None, first: date) -> None:
    if expired:
        click.echo(
            f"{counted(expired, 'sample')} {'is' if expired == 1 else 'are'} EXPIRED, older than what the database keeps, and "
            "not stored: --store-again lets it store them again, or read the archive into another database",
            err=True,
        )
    elif kept_days and (datetime.now(UTC).date() - first).days > kept_days:
        click.echo(
            f"retention keeps {counted(kept_days, 'day')}, and will drop what is older again: raise TELEMETRY_RETENTION_DAYS "
            "for as long as it is needed, or read the archive into another database",
            err=True,
        )


def _line(one: Returned) -> str:
    return f"{one.day}  {f'not read: {one.why}' if one.why else _classes(one.classes)}"


def _classes(classes: Classes) -> str:
    parts = [f"{classes.stored:,} new", f"{classes.duplicate:,} known"]
    parts += [f"{classes.conflict:,} in conflict"] if classes.conflict else []
    return ", ".join(parts + ([f"{classes.expired:,} expired"] if classes.expired else []))
