"""`telemetry edge`: gives edges their credentials, rotates them, and takes them away from one edge alone.

A credential is good for one edge (`cluster/node`), or for all edges of a cluster (`cluster`). It is a user of the broker, whose
rights `telemetry.trust.rights` knows, and a key by which the edge signs. Both are made of the centre's secret, and shown once.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
import redis
from sqlalchemy import Engine

from telemetry import broker
from telemetry.cli.data_dir import data_dir_option
from telemetry.cli.database import with_database
from telemetry.cli.declared import Declaration, Declared, shut_out
from telemetry.cli.session import connected, json_option, operator
from telemetry.sentinels import shown
from telemetry.settings import Settings
from telemetry.store import edge_credentials
from telemetry.trust import holders, rights, server
from telemetry.trust.credentials import Maker

UNKEPT = "the broker keeps its users in memory only: after its restart `telemetry broker acl --apply` makes them again"
APPLY = "run `telemetry broker acl --apply`"
UNREMOVED = "the broker keeps its users in memory only: where its configuration names this user, its restart brings it back"


class Holder(click.ParamType[str]):
    """The name of an edge, or of a cluster."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name."""
        try:
            return holders.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


holder_argument = click.argument("name", type=Holder())
secret_option = click.option(
    "--secret", metavar="SECRET", help="Print a Kubernetes Secret of this name, as the chart's values take it."
)
# The keys of that Secret: the chart's defaults of externalRedis.auth.existingSecretPasswordKey and trust.signingKey.
SECRET_KEYS = {"TELEMETRY_BROKER_PASSWORD": "redis-password", "TELEMETRY_SIGNING_KEY": "signing-key"}


@click.group()
@data_dir_option(expose_value=False)
def edge() -> None:
    """Give edges their credentials, rotate them, and take them away.

    NAME is an edge, cluster/node, or a cluster, whose edges then share the credentials.
    """


@edge.command()
@holder_argument
@secret_option
@json_option
@with_database
def add(engine: Engine, name: str, secret: str | None, as_json: bool) -> None:
    """Give NAME its credentials, and print them: settings for its processes. They are shown once."""
    settings: Settings = click.get_current_context().obj
    with engine.begin() as connection:
        if edge_credentials.valid(connection).get(name):
            raise click.ClickException(f"{name} has credentials; `telemetry edge rotate {name}` gives it others")
        serial = edge_credentials.issue(connection, name, operator())
        untold = _tell_the_broker(settings, {name: [serial]})
    _show(settings, name, serial, secret=secret, as_json=as_json)
    end(untold)


@edge.command()
@holder_argument
@click.option("--finish", is_flag=True, help="End the older credentials: the edge has the newest by now.")
@secret_option
@json_option
@with_database
def rotate(engine: Engine, name: str, finish: bool, secret: str | None, as_json: bool) -> None:
    """Give NAME new credentials beside its old ones, and print them; with --finish end the old ones.

    Until then both are good, so nothing is refused while the edge gets the new ones.
    Of several brokers one may be away: the others are told, and the exit code is 1.
    """
    settings: Settings = click.get_current_context().obj
    with engine.begin() as connection:
        numbers = edge_credentials.valid(connection).get(name)
        if not numbers:
            raise click.ClickException(f"{name} has no credentials; `telemetry edge add {name}` gives it some")
        if not finish:
            if len(numbers) > 1:
                raise click.ClickException(
                    f"{name} is being rotated: `telemetry edge rotate {name} --finish` ends its older credentials first"
                )
            serial = edge_credentials.issue(connection, name, operator())
            untold = _tell_the_broker(settings, {name: [*numbers, serial]})
        else:
            serial = numbers[-1]
            edge_credentials.retire(connection, name, operator(), but=serial)
            again = f"run `telemetry edge rotate {name} --finish` again"
            untold = _tell_the_broker(settings, {name: [serial]}, later=again, disconnects=True)
    if finish:
        said = {"name": name, "serial": serial, "retired": numbers[:-1]}
        click.echo(json.dumps(said) if as_json else f"{name} has only its newest credentials, number {serial}")
    else:
        _show(settings, name, serial, secret=secret, as_json=as_json)
    end(untold)


@edge.command()
@click.argument("declared", nargs=-1, required=True, type=Declaration())
@click.option("--apply", is_flag=True, help="Make their users at the broker, too, as its administrator.")
@click.option("--wait", "wait_s", type=click.FloatRange(0), default=0, help="Seconds in which the broker must let them in.")
@json_option
@with_database
def declare(engine: Engine, declared: tuple[Declared, ...], apply: bool, wait_s: float, as_json: bool) -> None:
    """Make credentials valid by their numbers, and no others of the same names: NAME=1, or NAME=1,2 while they are rotated.

    For `telemetry deploy`, which makes the credentials itself of the same secret. What was retired stays retired.
    """
    settings: Settings = click.get_current_context().obj
    untold: list[str] = []
    with engine.begin() as connection:
        valid = {each.name: edge_credentials.declare(connection, each.name, each.serials, operator()) for each in declared}
        if apply:
            untold = _tell_the_broker(settings, valid)
    # One edge that was revoked keeps no other from getting its own.
    if retired := [name for name, serials in valid.items() if not serials]:
        click.echo(f"{', '.join(retired)} was revoked, and stays so; `telemetry deploy rotate-edge` gives it others", err=True)
    if refused := shut_out(settings, maker(settings), valid, wait_s):
        raise click.ClickException("the broker refuses " + "; ".join(f"{name} ({why})" for name, why in refused.items()))
    count = sum(map(bool, valid.values()))
    click.echo(json.dumps(valid) if as_json else f"{count} {'edge has' if count == 1 else 'edges have'} valid credentials")
    end(untold)


@edge.command()
@holder_argument
@json_option
@with_database
def revoke(engine: Engine, name: str, as_json: bool) -> None:
    """Take all credentials of NAME away: the broker closes its connections, and the centre refuses its batches.

    A broker that is away is told by `telemetry broker acl --apply`; the exit code is then 1.
    """
    settings: Settings = click.get_current_context().obj
    with engine.begin() as connection:
        if not edge_credentials.retire(connection, name, operator()):
            raise click.ClickException(f"{name} has no credentials; see telemetry edge list")
    # After the commit: whatever becomes of the broker, the centre refuses what the edge signs.
    click.echo(json.dumps({"name": name, "revoked": True}) if as_json else f"{name} is revoked")
    user = rights.edge_name(settings.key_prefix, name)
    end(tell_each(settings, lambda client: server.remove(client, user), UNREMOVED))


@edge.command(name="list")
@json_option
@with_database
def list_edges(engine: Engine, as_json: bool) -> None:
    """List all credentials that were given."""
    with engine.connect() as connection:
        rows = [dict(row) for row in edge_credentials.listed(connection)]
    if as_json:
        click.echo(json.dumps(rows, default=lambda value: value.isoformat()))
        return
    for row in rows:
        state = f"retired {row['retired_at']:%Y-%m-%d %H:%M}" if row["retired_at"] else "valid"
        click.echo(f"{row['holder']}  number {row['serial']}  issued {row['issued_at']:%Y-%m-%d %H:%M}  {state}")
    if not rows:
        click.echo("no edge has credentials")


def maker(settings: Settings) -> Maker:
    """What makes the credentials. A centre without a secret is told how to get one."""
    if not settings.trust_secret:
        raise click.ClickException(
            "TELEMETRY_TRUST_SECRET is not set: credentials are made of it. Make one (openssl rand -hex 32), keep it at the "
            "centre alone, and give it to collectors too"
        )
    return Maker(settings.trust_secret, settings.key_prefix)


def _tell_the_broker(
    settings: Settings, valid: Mapping[str, Sequence[int]], *, later: str = APPLY, disconnects: bool = False
) -> list[str]:
    users = [
        (rights.of_edge(settings.key_prefix, name), [maker(settings).password(name, serial) for serial in serials])
        for name, serials in valid.items()
    ]

    def tell(client: redis.Redis) -> None:
        for user, passwords in users:
            server.write(client, user, passwords)
            if disconnects:
                server.disconnect(client, user.name)

    return tell_each(settings, tell, UNKEPT, later)


def tell_each(settings: Settings, tell: Callable[[redis.Redis], None], unkept: str, later: str = APPLY) -> list[str]:
    """Tell each broker something about its users, and each of its replicas, as those have users of their own.

    Returns what is to be said of brokers that were not told. `later` is what a person does when one of them, or a replica, is
    back. Raises ClickException where no broker was told.
    """
    untold, faults = [], []
    for name, one in settings.brokers.items():
        try:
            _tell_one(one, tell, unkept, later)
        except click.ClickException as error:
            # The others are told all the same: a user may have been revoked.
            untold.append(f"the broker {name} was not told ({error.message}): {later} when it is back")
            faults.append(error)
    if len(faults) == len(settings.brokers):
        raise faults[0]
    return untold


def end(untold: Sequence[str]) -> None:
    """Say which brokers were not told, and end the command with 1 if there are any."""
    for line in untold:
        click.echo(line, err=True)
    if untold:
        click.get_current_context().exit(1)


def _tell_one(settings: Settings, tell: Callable[[redis.Redis], None], unkept: str, later: str) -> None:
    with _administered(settings) as client:
        tell(client)
        if not server.keep(client):
            click.echo(unkept, err=True)
        try:
            replicas = broker.replicas(settings)
        except redis.RedisError as error:
            # The broker itself was told.
            click.echo(f"the replicas of the broker could not be listed ({error}), and were not told: {later}", err=True)
            return
        for place, replica in replicas:
            try:
                with replica:
                    tell(replica)
                    server.keep(replica)
            except redis.RedisError as error:
                click.echo(f"the replica {shown(place)} was not told ({error}): {later} when it is back", err=True)


@contextmanager
def _administered(settings: Settings) -> Iterator[redis.Redis]:
    """A client of the broker, as one who may make users."""
    with connected(settings) as client:
        try:
            yield client
        except redis.ResponseError as error:
            raise click.ClickException(
                f"the broker makes no users for us ({error}): give this command its administrator, or put the lines of "
                "`telemetry broker acl` where it takes its users"
            ) from None


def manifest(secret: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """The credentials as a Secret of Kubernetes. The user is no secret: it goes to externalRedis.username."""
    data = {key: base64.b64encode(environment[variable].encode()).decode() for variable, key in SECRET_KEYS.items()}
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": secret}, "data": data}


def _show(settings: Settings, name: str, serial: int, *, secret: str | None, as_json: bool) -> None:
    environment = maker(settings).environment(name, serial)
    if secret:
        click.echo(json.dumps(manifest(secret, environment), indent=2))
    elif as_json:
        click.echo(json.dumps({"name": name, "serial": serial, "environment": environment}))
    else:
        click.echo("\n".join(f"{variable}={value}" for variable, value in environment.items()))
