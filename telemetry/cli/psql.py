"""`telemetry psql`: a session of psql in the database, by the psql of the embedded Postgres or by that of the machine.

No password stands among the arguments of psql, which everyone on the machine can see.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click
from psycopg.conninfo import make_conninfo
from sqlalchemy import make_url

from telemetry.cli.session import data_dir_option, load_settings
from telemetry.local.servers import ServerError
from telemetry.local.servers.postgres import program
from telemetry.settings import Settings


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@data_dir_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(data_dir: Path | None, arguments: tuple[str, ...]) -> None:
    """Open a session of psql in the database. What follows is given to psql.

    \b
    telemetry psql -c "SELECT count(*) FROM gpus"
    """  # noqa: D301  # click's \b, which keeps the line apart
    settings = load_settings(data_dir)
    conninfo, environ = connection(settings)
    path = _program()
    os.execve(path, ["psql", f"--dbname={conninfo}", *arguments], os.environ | environ)  # noqa: S606 - without a shell


def connection(settings: Settings) -> tuple[str, dict[str, str]]:
    """How libpq is told of the database: a connection string without a password, and variables with it.

    The password of a key for TLS has no variable: psql asks for it.
    """
    url = make_url(settings.database_url)
    query = {name: value if isinstance(value, str) else ",".join(value) for name, value in url.query.items()}
    query.pop("sslpassword", None)
    password = query.pop("password", None) or url.password
    named = {"host": url.host, "port": url.port, "user": url.username, "dbname": url.database, **query}
    conninfo = make_conninfo("", **{name: value for name, value in named.items() if value is not None})
    return conninfo, {"PGPASSWORD": str(password)} if password else {}


def _program() -> str:
    try:
        path = program("psql")
    except ServerError:
        path = None
    if path is not None and path.exists():
        return str(path)
    client = shutil.which("psql")
    if client is None:
        raise click.ClickException("there is no psql here: install the client of PostgreSQL, or telemetry-pipeline[local]")
    return client
