"""`telemetry psql`: psql reaches the database, and no password stands where others see it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from telemetry.cli.psql import connection
from telemetry.settings import Settings

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    ("url", "conninfo", "password"),
    [
        ("postgresql://u:p%40ss@db:5433/t?sslmode=require", "host=db port=5433 user=u dbname=t sslmode=require", "p@ss"),
        ("postgresql://u@/t?host=/run/my pg&password=hidden", "user=u dbname=t host='/run/my pg'", "hidden"),
        (
            "postgresql://u:p@db/t?sslpassword=k&password=q&target_session_attrs=any",
            "host=db user=u dbname=t target_session_attrs=any",
            "q",
        ),
        ("postgresql://u@/t?host=a&host=b", "host=a,b user=u dbname=t", None),
        ("postgresql://db/t", "host=db dbname=t", None),
    ],
)
def test_a_password_is_no_argument(url: str, conninfo: str, password: str | None) -> None:
    said, environ = connection(Settings.load({"TELEMETRY_DATABASE_URL": url}))
    assert sorted(said.split()) == sorted(conninfo.split())
    assert environ == ({"PGPASSWORD": password} if password else {})


def test_it_asks_the_database_and_takes_psqls_own_options(telemetry: Run) -> None:
    done = telemetry("psql", "-tA", "-c", "SELECT count(*) FROM gpus")
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
    assert telemetry("psql", "-c", "SELECT no").returncode == 1
