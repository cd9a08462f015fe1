"""The runbooks' commands are tried as they are written."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis
from sqlalchemy import Engine, text

from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings, variable
from tests.batches import batch, key, now_s, readings
from tests.ports import free_port

BOOK = (Path(__file__).parents[2] / "docs" / "RUNBOOKS.md").read_text()
SQL = [each for each in re.findall(r'psql -c "([^"]+)"', BOOK) if not each.startswith("\\")]
# In the order of the book; `up` and `exporter` run on, and their own tests run them.
COMMANDS = [
    each for each in dict.fromkeys(re.findall(r"`telemetry ([^`]+)`", BOOK)) if each not in {"up", "exporter", "ingest"}
]
URLS = sorted(set(re.findall(r'`curl (?:-s )?"?(http://[^`"]+)"?`', BOOK)))
REDIS = sorted(set(re.findall(r"`redis-cli ([a-z][^`]*)`", BOOK)))


@pytest.mark.parametrize("statement", SQL)
def test_sql(statement: str, database_url: str, settings: Settings, engine: Engine, redis_client: redis.Redis) -> None:
    acks = Acks(redis_client, Keys(settings.key_prefix), 60)
    Collector(settings, engine, acks).persist(*wire.encode(batch(readings((key(), now_s(), 1.0)))))
    day = f"{datetime.now(UTC):%Y%m%d}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(statement.replace("YYYYMMDD", day).encode())


@pytest.fixture
def letters(settings: Settings, engine: Engine, redis_client: redis.Redis) -> dict[str, int]:
    """Ids of two dead letters: one that was mended, to be retried, and one that nobody wants."""
    collector = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))
    header, payload = wire.encode(batch(readings((key(), 0, 1.0)), "mended"))
    for batch_id in ("mended", "hopeless"):
        collector.persist({**header, "batch_id": batch_id, "digest": "0" * 32}, payload)
    with engine.begin() as connection:
        mended = text("UPDATE dead_letters SET header = CAST(:header AS jsonb) WHERE batch_id = 'mended'")
        connection.execute(mended, {"header": json.dumps(header)})
        return {row.batch_id: row.id for row in connection.execute(text("SELECT batch_id, id FROM dead_letters"))}


@pytest.mark.slow
def test_commands_and_addresses(
    start_collector: Callable[..., object],
    start_api: Callable[..., tuple[str, int]],
    telemetry: Callable[..., subprocess.CompletedProcess[str]],
    letters: dict[str, int],
    tmp_path: Path,
) -> None:
    file, port = tmp_path / "sample.csv", free_port()
    telemetry("simulate", "--hosts", "1", "--gpus", "1", "--interval", "5", "--duration", "30", "-o", file)
    start_collector(TELEMETRY_METRICS_PORT=str(port))
    assert {command.split()[0] for command in COMMANDS} >= {"status", "rewind", "ingest", "verify", "deadletter"}
    needs = {"edge": {"TELEMETRY_TRUST_SECRET": "s" * 40}, "archive": {"TELEMETRY_ARCHIVE_URL": str(tmp_path / "archive")}}
    for command in COMMANDS:
        letter = letters["hopeless" if " drop " in command else "mended"]
        words = [{"FILE": str(file), "ID": str(letter), "NAME": "lab"}.get(word, word) for word in command.split()]
        done = telemetry(*words, **needs.get(words[0], {}))
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    assert telemetry("deadletter", "retry", "--all").returncode == 0

    api, _ = start_api(TELEMETRY_API_ACCESS="open")
    (gpu, *_) = httpx.get(f"{api}/api/v1/gpus").json()["items"]
    told = {"<api>": api.removeprefix("http://"), "<UUID>": gpu["uuid"], "<instance>": f"127.0.0.1:{port}"}
    assert len(URLS) > 2
    for url in URLS:
        answer = httpx.get(re.sub("<[a-zA-Z]+>", lambda found: told[found[0]], url))
        assert answer.status_code == httpx.codes.OK, f"{url}: {answer.text}"


@pytest.mark.parametrize("command", REDIS)
def test_redis(command: str, redis_client: redis.Redis) -> None:
    answer: Any = redis_client.execute_command(*command.split())  # type: ignore[no-untyped-call]
    assert answer


def test_settings_are_named_as_they_are() -> None:
    named = set(re.findall(r"TELEMETRY_[A-Z_]+", BOOK))
    assert named <= {variable(item) for item in fields(Settings)}
