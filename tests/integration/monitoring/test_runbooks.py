"""The runbooks' commands are tried as they are written."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from click.testing import CliRunner
from sqlalchemy import Engine

from telemetry.cli import main
from telemetry.collector.acks import Acks
from telemetry.collector.persist import Collector
from telemetry.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings, variable
from tests.batches import T0_US, batch, key, readings

BOOK = (Path(__file__).parents[3] / "docs" / "RUNBOOKS.md").read_text()
SQL = [each for each in re.findall(r'psql -c "([^"]+)"', BOOK) if not each.startswith("\\")]
COMMANDS = sorted(set(re.findall(r"`telemetry ([a-z]+(?: [a-z]+)?)", BOOK)) - {"up"})
REDIS = sorted(set(re.findall(r"`redis-cli ([a-z][^`]*)`", BOOK)))


@pytest.mark.parametrize("statement", SQL)
def test_sql(statement: str, database_url: str, settings: Settings, engine: Engine, redis_client: redis.Redis) -> None:
    acks = Acks(redis_client, Keys(settings.key_prefix), 60)
    Collector(settings, engine, acks).persist(*wire.encode(batch(readings((key(), 0, 1.0)))))
    day = f"{datetime.fromtimestamp(T0_US / 1e6, UTC):%Y%m%d}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(statement.replace("YYYYMMDD", day).encode())


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command: str) -> None:
    done = CliRunner().invoke(main, [*command.split(), "--help"])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("command", REDIS)
def test_redis(command: str, redis_client: redis.Redis) -> None:
    answer: Any = redis_client.execute_command(*command.split())  # type: ignore[no-untyped-call]
    assert answer


def test_settings_are_named_as_they_are() -> None:
    named = set(re.findall(r"TELEMETRY_[A-Z_]+", BOOK))
    assert named <= {variable(item) for item in fields(Settings)}
