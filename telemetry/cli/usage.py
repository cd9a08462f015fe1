"""`telemetry usage`: who used how much, as a table, CSV, JSON, or a report in one HTML file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import click
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection

from telemetry.api.core.parameters import Instant
from telemetry.cli import usage_report
from telemetry.cli.database import database
from telemetry.cli.foreign import plain
from telemetry.cli.session import data_dir_option, load_settings
from telemetry.store.read import usage as store
from telemetry.store.read.usage import FIGURES, UsageGroup, Use

Form = Literal["table", "csv", "json"]
# What a table shows, and how: the header, and a number's decimals (None: a share, in percent).
SHOWN: dict[str, tuple[str, int | None]] = {
    "held_hours": ("held h", 1),
    "coverage": ("covered", None),
    "idle_hours": ("idle h", 1),
    "low_use_hours": ("low use h", 1),
    "duty_cycle": ("busy", None),
    "free_hours": ("free h", 1),
    "energy_kwh": ("kWh", 2),
    "cost": ("cost", 2),
}
MOMENT = TypeAdapter[datetime](Instant)


class Moment(click.ParamType[datetime]):
    """A time as the API takes it: RFC 3339, a day, Unix time, or relative to now."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The time in UTC."""
        try:
            return MOMENT.validate_python(str(value))
        except ValidationError:
            self.fail(f"{value!r} must be a time such as -7d, 2026-11-05 or 2026-11-05T10:00:00Z", param, ctx)


class Groups(click.ParamType[tuple[UsageGroup, ...]]):
    """Groups, with commas between them."""

    name = "groups"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[UsageGroup, ...]:
        """The groups, each once."""
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(str(value).split(",")))
        if wrong := [name for name in names if name not in get_args(UsageGroup)]:
            self.fail(f"{wrong[0]!r} is none of {', '.join(get_args(UsageGroup))}", param, ctx)
        return names  # type: ignore[return-value]


@click.command()
@click.option("--by", type=Groups(), default="namespace", show_default=True, help="A row for each of these, as user,model.")
@click.option("--since", type=Moment(), default="-7d", show_default=True, help="From when on, such as -7d or 2026-11-05.")
@click.option("--until", type=Moment(), default="now", show_default=True, help="Until when.")
@click.option("--format", "form", type=click.Choice(get_args(Form)), default="table", show_default=True, help="What to print.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a report of all groups to one HTML file, and print nothing else.",
)
@data_dir_option
def usage(
    by: tuple[UsageGroup, ...],
    since: datetime,
    until: datetime,
    form: Form,
    as_json: bool,
    html: Path | None,
    data_dir: Path | None,
) -> None:
    """Show who used how much: GPU-hours held, idle and free, energy, cost.

    \b
    Last week by team:
      telemetry usage --by namespace --since -7d
    A report of it for people:
      telemetry usage --since -7d --html week.html
    """  # noqa: D301  # click's \b, which keeps the lines apart
    if since >= until:
        raise click.UsageError("--since must be before --until")
    settings = load_settings(data_dir)
    now = datetime.now(UTC)
    asked = Use(
        since,
        min(until, now),
        by,
        idle_below=settings.idle_below_percent,
        low_use_below=settings.low_use_below_percent,
        rates=settings.rates,
    )
    with database(settings, "usage") as engine, engine.connect() as connection:
        if html is not None:
            rows = {groups: answer(connection, replace(asked, groups=groups)) for groups in usage_report.GROUPS}
            try:
                html.write_text(usage_report.page(asked, rows, now), encoding="utf-8")
            except OSError as error:
                raise click.ClickException(f"{html} cannot be written: {error.strerror}") from None
            click.echo(f"{html} has the usage from {_stamp(asked.start)} to {_stamp(asked.end)}")
            return
        rows_shown = answer(connection, asked)
    if as_json or form == "json":
        click.echo(json.dumps({**about(asked), "items": rows_shown}))
    elif form == "csv":
        click.echo(comma_separated(asked.columns, rows_shown), nl=False)
    else:
        click.echo("\n".join(map(plain, table(asked, rows_shown))))


def answer(connection: Connection, asked: Use) -> list[dict[str, Any]]:
    """The rows of a question."""
    return [dict(row) for row in connection.execute(store.usage(asked)).mappings()]


def about(asked: Use) -> dict[str, Any]:
    """What the figures are of and what they mean, as the API tells it."""
    return {
        "start": _stamp(asked.start),
        "end": _stamp(asked.end),
        "idle_below_percent": asked.idle_below,
        "low_use_below_percent": asked.low_use_below,
        "currency": asked.rates.currency if asked.rates else None,
    }


def comma_separated(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def table(asked: Use, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Rows as lines for people, with what the words mean."""
    figures = [name for name in FIGURES if name in SHOWN and (name != "cost" or asked.rates)]
    heads = [*asked.keys, *(SHOWN[name][0] for name in figures)]
    cells = [
        heads,
        *([*(_name(row[key]) for key in asked.keys), *(shown(name, row[name]) for name in figures)] for row in rows),
    ]
    widths = [max(len(line[place]) for line in cells) for place in range(len(heads))]
    texts = len(asked.keys)
    lines = [
        "  ".join(
            cell.ljust(width) if place < texts else cell.rjust(width) for place, (cell, width) in enumerate(pairs)
        ).rstrip()
        for pairs in (zip(line, widths, strict=True) for line in cells)
    ]
    return [f"{_stamp(asked.start)} to {_stamp(asked.end)}", "", *lines, "", *meaning(asked)]


def meaning(asked: Use) -> list[str]:
    """What the words of a table mean."""
    words = [
        f"held: somebody had the GPU. idle: held, and below {asked.idle_below} % of utilisation. low use: held and not idle,",
        f"and below {asked.low_use_below} %. free: nobody had it. covered: the part of the held time with readings.",
    ]
    return [*words, f"cost in {asked.rates.currency}"] if asked.rates else words


def shown(name: str, value: float | None) -> str:
    """A figure as people read it."""
    decimals = SHOWN[name][1]
    if value is None:
        return "-"
    return f"{value:.0%}" if decimals is None else f"{value:,.{decimals}f}"


def _name(value: Any) -> str:
    return "-" if value is None else str(value)


def _stamp(moment: datetime) -> str:
    return f"{store.to_the_minute(moment):%Y-%m-%dT%H:%MZ}"
