"""`telemetry db rules`: the labels that are no part of a series. What they are for is `telemetry.store.rules`'."""

from __future__ import annotations

import json

import click
from sqlalchemy import Engine

from telemetry.cli.database import with_database
from telemetry.cli.session import json_option, operator
from telemetry.settings import Settings
from telemetry.settings.parsers import words
from telemetry.store import audit_log
from telemetry.store import rules as stored
from telemetry.store.rules import OtherRulesError, Rule


@click.group()
def rules() -> None:
    """Show or change which labels are no part of a series."""


@rules.command()
@json_option
@with_database
def show(engine: Engine, as_json: bool) -> None:
    """Show the rules, the earliest first. The last one holds for what is read now."""
    with engine.connect() as connection:
        history = stored.known(connection)
    click.echo(
        json.dumps([_document(rule) for rule in history]) if as_json else "\n\n".join(map(_text, history)) or "no rule yet"
    )


@rules.command()
@click.option(
    "--volatile", metavar="LABELS", help="Labels that may change, separated by commas (default: as this process is set)."
)
@click.option("--owner", metavar="LABELS", help="Labels that say who uses a GPU (default: as this process is set).")
@json_option
@with_database
@click.pass_obj
def change(settings: Settings, engine: Engine, volatile: str | None, owner: str | None, as_json: bool) -> None:
    """Let other labels be no part of a series, from now on.

    Readings of before keep the series they have, also when they are read again. Collectors that run go on by the new rule; set
    TELEMETRY_VOLATILE_LABELS and TELEMETRY_OWNER_LABELS to the same before one starts again.
    """
    rule = Rule.of(settings)
    given = Rule(
        rule.volatile if volatile is None else frozenset(words(volatile)),
        rule.owner if owner is None else frozenset(words(owner)),
    )
    try:
        with engine.begin() as connection:
            made = stored.change(connection, given)
            if made:
                audit_log.note(connection, operator(), "rules.change", "labels", _document(made))
    except OtherRulesError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(_document(made) if made else None))
    else:
        click.echo(_text(made) if made else "these are the rules already")


def _document(rule: Rule) -> dict[str, object]:
    since = rule.since.isoformat() if rule.since else None
    return {"since": since, "volatile": sorted(rule.volatile), "owner": sorted(rule.owner)}


def _text(rule: Rule) -> str:
    since = f"for readings from {rule.since:%Y-%m-%d %H:%M:%S} UTC on" if rule.since else "from the first reading on"
    return f"{since}\n  volatile: {', '.join(sorted(rule.volatile))}\n  owner: {', '.join(sorted(rule.owner))}"
