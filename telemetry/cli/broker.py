"""`telemetry broker`: the users that the broker has for edges and for the parts of the centre, and their credentials."""

from __future__ import annotations

import json
from pathlib import Path

import click
import redis
from sqlalchemy import Engine

from telemetry.cli.data_dir import data_dir_option
from telemetry.cli.database import with_database
from telemetry.cli.edge import UNKEPT, end, maker, tell_each
from telemetry.cli.session import json_option, load_settings
from telemetry.settings import Settings
from telemetry.store import edge_credentials
from telemetry.trust import rights, server


@click.group()
@data_dir_option(expose_value=False)
def broker() -> None:
    """Show or make the broker's users."""


@broker.command()
@click.option("--apply", is_flag=True, help="Make the users at the broker, instead of printing them.")
@json_option
@with_database
def acl(engine: Engine, apply: bool, as_json: bool) -> None:
    """Print the users of the parts of the centre and of all edges with credentials, as lines of a file of users.

    They hold digests of passwords, and no password. The default user is none of them: switch it off once all parts use theirs.
    With --apply the users of edges that were revoked go, too. Of several brokers one may be away; the exit code is then 1.
    """
    settings: Settings = click.get_current_context().obj
    with engine.connect() as connection:
        users = list(maker(settings).users(edge_credentials.valid(connection)))
        revoked = [rights.edge_name(settings.key_prefix, name) for name in edge_credentials.revoked(connection)]
    lines = {user.name: user.line(passwords) for user, passwords in users}
    if not apply:
        click.echo(json.dumps(lines) if as_json else "\n".join(lines.values()))
        return

    def tell(client: redis.Redis) -> None:
        for user, passwords in users:
            server.write(client, user, passwords)
        for name in revoked:
            server.remove(client, name)

    untold = tell_each(settings, tell, UNKEPT)
    click.echo(json.dumps(lines) if as_json else f"{len(users)} users of the broker are made")
    end(untold)


@broker.command()
@click.argument("role", type=click.Choice(rights.ROLES))
@json_option
@data_dir_option()
def credentials(role: rights.Role, as_json: bool, data_dir: Path | None) -> None:
    """Print the settings by which a part of the centre uses its user."""
    environment = maker(load_settings(data_dir)).of_role(role)
    if as_json:
        click.echo(json.dumps(environment))
        return
    for variable, value in environment.items():
        click.echo(f"{variable}={value}")
