"""What strangers have named is shown to people without doing anything: on terminals, and in files for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import redis
from flask.testing import FlaskClient
from sqlalchemy import Engine

from telemetry.cli.foreign import plain
from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from tests.api.conftest import client
from tests.batches import batch, key, readings

__all__ = ["client"]
FORGED = "a\nCRITICAL all disks on fire\x1b[2J"
FORMULA = "=cmd|'/c calc'!A1"
BROWSER = {"Sec-Fetch-Mode": "navigate"}


def test_no_name_forges_a_line_on_a_terminal(
    settings: Settings, engine: Engine, redis_client: redis.Redis, telemetry: Callable[..., Any]
) -> None:
    assert plain("GPU Ü") == "GPU Ü"
    assert plain(FORGED) == r"a\nCRITICAL all disks on fire\x1b[2J"
    redis_client.sadd(Keys(settings.key_prefix).edges(), FORGED)
    redis_client.set(Keys(settings.key_prefix).sign(FORGED), "1 2")
    collector = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))
    header, payload = wire.encode(batch(readings((key(), 0, 1.0)), edge=FORGED))
    collector.persist({**header, "digest": "0" * 32}, payload)
    for command in (("status",), ("sources",), ("deadletter", "list"), ("quarantine", "list")):
        done = telemetry(*command)
        assert done.returncode == 0, done.stderr
        shown = done.stdout
        assert not [line for line in shown.splitlines() if line.startswith("CRITICAL")]
        assert "\x1b[2J" not in shown
    assert r"a\nCRITICAL" in telemetry("status").stdout


def test_browsers_get_no_formulas_and_programs_get_what_is_stored(
    client: FlaskClient, settings: Settings, engine: Engine, redis_client: redis.Redis
) -> None:
    collector = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))
    collector.persist(*wire.encode(batch(readings((key(FORMULA), 0, -1.0)))))
    told = {}
    asking = {"browser": BROWSER, "browser without TLS": {"Accept": "text/html,*/*;q=0.8"}, "program": {"Accept": "*/*"}}
    for who, headers in asking.items():
        answer = client.get("/api/v1/metrics?format=csv", headers=headers)
        assert answer.status_code == 200, answer.text
        told[who] = {row["name"] for row in csv.DictReader(io.StringIO(answer.text))}
    plain_text = {f"'{FORMULA}"}
    assert told == {"browser": plain_text, "browser without TLS": plain_text, "program": {FORMULA}}


def test_keys_are_tried_slowly(client: FlaskClient) -> None:
    own = {"Origin": "http://localhost"}
    statuses = [client.post("/login", data={"key": f"tk_{n}_x"}, headers=own).status_code for n in range(12)]
    assert (statuses[:10], statuses[10:]) == ([403] * 10, [429] * 2)
    # Whoever has a key goes on.
    assert client.get("/login").status_code == 200
    assert client.get("/health").status_code == 200
