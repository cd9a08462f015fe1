"""URLs of databases with several hosts, as libpq writes them, and of a replica to read from."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import make_url
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from telemetry.cli.psql import connection
from telemetry.doctor import address
from telemetry.settings import Settings, SettingsError


def parameters(url: str) -> dict[str, Any]:
    """What psycopg is given."""
    dialect: Any = PGDialect_psycopg
    _, named = dialect().create_connect_args(make_url(url))
    return dict(named)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("postgresql://u:p%40@a:5432,b:5433/t", "a,b", "5432,5433"),
        ("postgresql://u:p%40@a,[::1]:6000,10.0.0.1/t", "a,::1,10.0.0.1", "5432,6000,5432"),
        ("postgres://u:p%40@/t?host=/one,/two", "/one,/two", ","),
    ],
)
def test_of_several_hosts_the_one_that_takes_writes_is_meant(url: str, host: str, port: str) -> None:
    given = parameters(Settings.load({"TELEMETRY_DATABASE_URL": url}).database_url)
    assert (given["host"], given["port"]) == (host, port)
    assert (given["user"], given["password"], given["dbname"]) == ("u", "p@", "t")
    assert given["target_session_attrs"] == "read-write"


def test_what_the_url_says_of_the_servers_stays() -> None:
    url = "postgresql://u@a,b/t?target_session_attrs=primary&sslmode=verify-full"
    given = parameters(Settings.load({"TELEMETRY_DATABASE_URL": url}).database_url)
    assert (given["target_session_attrs"], given["sslmode"]) == ("primary", "verify-full")
    assert "target_session_attrs" not in parameters(Settings.load({"TELEMETRY_DATABASE_URL": "postgresql://a/t"}).database_url)


def test_the_password_is_that_of_all_servers() -> None:
    settings = Settings.load(
        {
            "TELEMETRY_DATABASE_URL": "postgresql://u@a,b/t",
            "TELEMETRY_DATABASE_READ_URL": "postgresql://u@c/t",
            "TELEMETRY_DATABASE_PASSWORD": "s/e@",
        }
    )
    assert settings.database_read_url is not None
    given = [parameters(url)["password"] for url in (settings.database_url, settings.database_read_url)]
    assert given == ["s/e@", "s/e@"]
    assert parameters(settings.database_url)["host"] == "a,b"
    own = {"TELEMETRY_DATABASE_READ_URL": "postgresql://reader:own@c/t", "TELEMETRY_DATABASE_PASSWORD": "x"}
    assert ":own@" in str(Settings.load(own).database_read_url)
    assert Settings.load({"TELEMETRY_DATABASE_READ_URL": ""}).database_read_url is None


def test_doctor_and_psql_know_all_hosts() -> None:
    settings = Settings.load({"TELEMETRY_DATABASE_URL": "postgresql://u@a:1,b:2/t"})
    assert [(each.host, each.port) for each in address.database(settings)] == [("a", 1), ("b", 2)]
    conninfo, _ = connection(settings)
    assert {"host=a,b", "port=1,2", "target_session_attrs=read-write"} <= set(conninfo.split())


@pytest.mark.parametrize("hosts", ["a,,b", "a:x,b", "a:0,b", "a:70000,b"])
def test_hosts_that_cannot_be_read_are_refused(hosts: str) -> None:
    with pytest.raises(SettingsError, match=r"TELEMETRY_DATABASE_URL has hosts that do not read like host:5432,host:5432"):
        Settings.load({"TELEMETRY_DATABASE_URL": f"postgresql://u:secret@{hosts}/t"})
