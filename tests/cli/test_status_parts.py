"""`telemetry status` when a server is frozen or away: what answers is shown, what does not is named, within seconds."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from telemetry.local.servers import Postgres, Valkey
from telemetry.local.servers.server import Server
from telemetry.settings import Settings
from telemetry.store import migrate
from telemetry.store.engine import make_engine
from tests.fixtures.processes import send

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Server]]:
    """Servers that nobody else uses, so that they may be frozen."""
    with tempfile.TemporaryDirectory(prefix="telemetry-status-") as name:
        Path(name).chmod(0o755)
        with Postgres(Path(name) / "postgres", {"fsync": "off"}) as postgres, Valkey(Path(name) / "valkey", {}) as valkey:
            engine = make_engine(Settings.load({"TELEMETRY_DATABASE_URL": postgres.url}), application="test")
            migrate.upgrade(engine)
            engine.dispose()
            yield {"database": postgres, "broker": valkey}


@pytest.mark.parametrize("frozen", [["broker"], ["database"], ["broker", "database"]])
def test_a_frozen_part_is_named_and_the_other_is_shown(servers: dict[str, Server], telemetry: Run, frozen: list[str]) -> None:
    urls = {"TELEMETRY_DATABASE_URL": servers["database"].url, "TELEMETRY_BROKER_URL": servers["broker"].url}
    for name in frozen:
        send(servers[name], signal.SIGSTOP)
    try:
        begun = time.monotonic()
        done = telemetry("status", "--json", **urls)
        wait_s = time.monotonic() - begun
    finally:
        for name in frozen:
            send(servers[name], signal.SIGCONT)
    assert wait_s < 3 + 2 * len(frozen)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert [name for name, part in report["parts"].items() if part["status"] != "ok"] == frozen
    assert (report["queue"] is None, report["sources"] is None) == ("broker" in frozen,) * 2
    assert (report["dead_letters"] is None, report["flow"] is None) == ("database" in frozen,) * 2
    assert all(f"the {name} does not answer within 2 s" in done.stderr for name in frozen)


def test_a_part_that_is_away_is_named_in_the_text(servers: dict[str, Server], telemetry: Run) -> None:
    urls = {"TELEMETRY_DATABASE_URL": "postgresql://u:hidden@127.0.0.1:1/t", "TELEMETRY_BROKER_URL": servers["broker"].url}
    done = telemetry("status", **urls)
    assert done.returncode == 1
    assert "database  NO ANSWER: cannot reach the database" in done.stdout
    assert "database  see whether it runs, " in done.stdout
    assert "TELEMETRY_DATABASE_URL is right" in done.stdout
    assert "queue     0 waiting" in done.stdout
    assert "nothing committed" not in done.stdout
    assert "hidden" not in done.stdout + done.stderr


def test_a_broker_that_drops_keys_and_a_database_that_forgets_are_warned_of(servers: dict[str, Server], telemetry: Run) -> None:
    urls = {"TELEMETRY_DATABASE_URL": servers["database"].url, "TELEMETRY_BROKER_URL": servers["broker"].url}
    with redis.Redis.from_url(urls["TELEMETRY_BROKER_URL"].replace("redis+socket", "unix").partition("?")[0]) as client:
        assert "maxmemory-policy" not in telemetry("status", **urls).stdout
        client.config_set("maxmemory-policy", "allkeys-lru")
        text = telemetry("status", **urls).stdout
        client.config_set("maxmemory-policy", "noeviction")
    assert "broker    WARNING: maxmemory-policy of the broker is allkeys-lru: " in text
    assert (
        "database  WARNING: this Postgres may lose what it has committed, and files may be deleted by then: fsync is off: "
        in text
    )
