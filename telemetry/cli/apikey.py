"""`telemetry apikey`: creates, lists and revokes keys of the API."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from telemetry import lengths
from telemetry.cli.data_dir import data_dir_option
from telemetry.cli.database import with_database
from telemetry.cli.session import json_option, operator
from telemetry.store import apikeys


class Lifetime(click.ParamType[timedelta]):
    """A length of time, such as 90d."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The length of time."""
        text = str(value)
        try:
            # A number alone may be meant as days.
            return lengths.read("" if text.isdecimal() else text)
        except ValueError:
            self.fail(f"{text!r} must read like 12h, 90d or 52w", param, ctx)


@click.group()
@data_dir_option(expose_value=False)
def apikey() -> None:
    """Create, list and revoke keys of the API."""


@apikey.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(apikeys.SCOPES),
    default=("read",),
    show_default=True,
    help="What the key may do; may be repeated. admin may do everything.",
)
@click.option(
    "--namespace",
    "namespaces",
    multiple=True,
    help="Show nothing but usage, allocations and events of this namespace; may be repeated. All of the fleet unless given.",
)
@click.option("--expires", type=Lifetime(), help="How long the key is valid, such as 90d; for ever unless given.")
@json_option
@with_database
def create(
    engine: Engine,
    name: str,
    scopes: tuple[str, ...],
    namespaces: tuple[str, ...],
    expires: timedelta | None,
    as_json: bool,
) -> None:
    """Create a key called NAME and print it. It cannot be shown again, as only a digest of it is kept."""
    if namespaces and set(scopes) != {"read"}:
        raise click.UsageError("a key that is bound to namespaces can only read: leave out --scope, or give it as read")
    if name.startswith(apikeys.LOGIN):
        raise click.UsageError(f"names that begin with {apikeys.LOGIN!r} are those of people who logged in: give another one")
    if not all(namespaces):
        raise click.UsageError("--namespace needs a name")
    expires_at = datetime.now(UTC) + expires if expires else None
    bound = sorted(set(namespaces))
    try:
        with engine.begin() as connection:
            key = apikeys.create(connection, name, sorted(set(scopes)), expires_at, operator(), bound)
    except IntegrityError:
        raise click.ClickException(f"a key called {name} exists or existed; give another name") from None
    may = {"scopes": sorted(set(scopes)), "namespaces": bound}
    document = {"name": name, **may, "expires_at": expires_at and expires_at.isoformat(), "key": key}
    click.echo(json.dumps(document) if as_json else key)


@apikey.command(name="list")
@json_option
@with_database
def list_keys(engine: Engine, as_json: bool) -> None:
    """List all keys, with their last use to the minute."""
    with engine.connect() as connection:
        rows = [dict(row) for row in apikeys.listed(connection)]
    if as_json:
        click.echo(json.dumps(rows, default=lambda value: value.isoformat()))
        return
    for row in rows:
        used = f"used {row['last_used_at']:%Y-%m-%d %H:%M}" if row["last_used_at"] else "never used"
        may = ", ".join(row["scopes"]) + (f" of {', '.join(row['namespaces'])}" if row["namespaces"] else "")
        click.echo(f"{row['name']}  tk_{row['public']}_…  {may}  {_state(row)}  {used}")
    if not rows:
        click.echo("no keys")


@apikey.command()
@click.argument("name")
@json_option
@with_database
def revoke(engine: Engine, name: str, as_json: bool) -> None:
    """Revoke the key called NAME, from the next request on."""
    with engine.begin() as connection:
        if not apikeys.revoke(connection, name, operator()):
            raise click.ClickException(
                f"no key called {name} can be revoked: it does not exist or is revoked already; see telemetry apikey list"
            )
    click.echo(json.dumps({"name": name, "revoked": True}) if as_json else f"{name} is revoked")


def _state(row: dict[str, Any]) -> str:
    if row["revoked_at"]:
        return f"revoked {row['revoked_at']:%Y-%m-%d}"
    if row["expires_at"]:
        return f"{'expired' if row['expires_at'] < datetime.now(UTC) else 'expires'} {row['expires_at']:%Y-%m-%d}"
    return "valid for ever"
