"""What goes wrong with a command's surroundings is one line that names it, and no traceback."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import pytest
import redis
from click.testing import CliRunner, Result
from psycopg import sql
from sqlalchemy import make_url

from telemetry.cli import main
from tests.fixtures.services import Services, connect

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run a command in this process, with the test's settings and some more."""

    def run(*args: str, **variables: str) -> Result:
        for name, value in {**environ, **variables}.items():
            monkeypatch.setenv(name, value)
        return CliRunner().invoke(main, args)

    return run


def one_line(result: Result) -> str:
    """The error a command ended with."""
    assert result.exit_code == 1, (result.output, result.exception)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


@pytest.mark.parametrize("command", [("status",), ("apikey", "list"), ("deadletter", "list"), ("apikey", "create", "k")])
def test_a_database_without_tables(invoke: Invoke, empty_database_url: str, command: tuple[str, ...]) -> None:
    told = one_line(invoke(*command, TELEMETRY_DATABASE_URL=empty_database_url))
    assert "does not have the tables of this version" in told
    assert "run telemetry db upgrade" in told


@pytest.mark.parametrize("command", [("upgrade", "nonsense"), ("downgrade", "--yes", "nonsense")])
def test_a_revision_there_is_not(invoke: Invoke, command: tuple[str, ...]) -> None:
    assert "nonsense" in one_line(invoke("db", *command))


@pytest.fixture
def stranger(services: Services, empty_database_url: str) -> Iterator[str]:
    """The URL of an empty database for a role that may create nothing in it."""
    url = make_url(empty_database_url)
    name = f"stranger_{url.database}"
    with connect(services) as server:
        server.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(sql.Identifier(name)))
        yield url.set(username=name, password="x").render_as_string(hide_password=False)  # noqa: S106
        server.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_a_role_that_may_create_nothing(invoke: Invoke, stranger: str) -> None:
    assert "permission denied" in one_line(invoke("db", "upgrade", TELEMETRY_DATABASE_URL=stranger))


@pytest.mark.parametrize("name", ["BROKER", "DATABASE"])
def test_a_port_that_is_none_names_the_variable(invoke: Invoke, name: str) -> None:
    scheme = {"BROKER": "redis", "DATABASE": "postgresql"}[name]
    told = one_line(invoke("db", "current", **{f"TELEMETRY_{name}_URL": f"{scheme}://u:secret@host:many/0"}))
    assert f"TELEMETRY_{name}_URL has no port" in told
    assert "secret" not in told


def test_a_broker_that_denies(invoke: Invoke, redis_client: redis.Redis, broker_url: str) -> None:
    redis_client.acl_setuser("reader", enabled=True, passwords=["+x"], categories=["+@read"], commands=["+ping", "+client"])
    denied = broker_url.replace("redis+socket://", "redis+socket://reader:x@")
    told = one_line(invoke("ingest", __file__, TELEMETRY_BROKER_URL=denied))
    assert "refused" in told
    redis_client.acl_deluser("reader")


def test_a_misspelt_setting_is_told_by_every_command(telemetry: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = telemetry("db", "current", TELEMETRY_BATCHSIZE="1")
    assert done.stderr.startswith("telemetry: TELEMETRY_BATCHSIZE is not a setting; did you mean TELEMETRY_BATCH_SIZE?\n")
