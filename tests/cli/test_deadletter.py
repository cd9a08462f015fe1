"""`telemetry deadletter` on real letters."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine, text

from telemetry import broker
from telemetry.collector.persist import Collector
from telemetry.local.servers import Valkey
from telemetry.progress.acks import Acks
from telemetry.progress.claims import Claims
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from tests.batches import batch, key, readings
from tests.launching import BIN

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def letters(settings: Settings, engine: Engine, redis_client: redis.Redis) -> None:
    """Two letters: one whose batch is sound by now, as after a mended collector, and one that is hopeless."""
    collector = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))
    header, payload = wire.encode(batch(readings((key(), 0, 1.0)), "sound"))
    collector.persist({**header, "digest": "0" * 32}, payload)
    collector.persist({**header, "batch_id": "hopeless", "digest": "0" * 32}, payload)
    with engine.begin() as connection:
        mended = json.dumps({**header})
        connection.execute(text("UPDATE dead_letters SET header = CAST(:h AS jsonb) WHERE batch_id = 'sound'"), {"h": mended})


@pytest.mark.usefixtures("letters")
def test_letters_are_listed_shown_retried_and_dropped(telemetry: Run, engine: Engine) -> None:
    listed = json.loads(telemetry("deadletter", "list", "--json").stdout)
    assert [letter["batch_id"] for letter in listed] == ["sound", "hopeless"]
    shown = json.loads(telemetry("deadletter", "show", str(listed[0]["id"])).stdout)
    assert "digest" in shown["error"]
    assert shown["payload_bytes"] > 0
    status = json.loads(telemetry("status", "--json").stdout)
    assert status["dead_letters"] == 2
    retried = telemetry("deadletter", "retry", "--all", "--json")
    assert retried.returncode == 1
    sound, hopeless = json.loads(retried.stdout)
    assert sound == {"id": listed[0]["id"], "status": "stored", "error": None}
    assert (hopeless["status"], hopeless["error"].partition(":")[0]) == ("dead", "WireError")
    assert "dead: WireError" in telemetry("deadletter", "retry", "--all").stdout
    (left,) = json.loads(telemetry("deadletter", "list", "--json").stdout)
    assert left["batch_id"] == "hopeless"
    with engine.connect() as connection:
        assert connection.execute(text("SELECT batch_id, status FROM batches ORDER BY 1")).all() == [
            ("hopeless", "dead"),
            ("sound", "stored"),
        ]
        assert connection.scalar(text("SELECT count(*) FROM samples")) == 1
    dropped = telemetry("deadletter", "drop", "--json", str(left["id"]), "7777")
    assert json.loads(dropped.stdout) == [{"id": left["id"], "dropped": True}, {"id": 7777, "dropped": False}]
    assert "no dead letters" in telemetry("deadletter", "list").stdout
    assert telemetry("rewind").returncode == 0
    with engine.connect() as connection:
        noted = connection.execute(text("SELECT action, target, detail ->> 'status' FROM audit_log ORDER BY id")).all()
    assert [(action, status) for action, _, status in noted] == [
        *(("deadletter.retry", status) for status in ("stored", "dead", "dead")),
        ("deadletter.drop", None),
        ("rewind", None),
    ]
    assert [target for _, target, _ in noted][-2:] == [str(left["id"]), "edges"]


def test_bad_usage_is_told(telemetry: Run) -> None:
    assert telemetry("deadletter", "retry").returncode == 2
    assert "there is no dead letter 7" in telemetry("deadletter", "show", "7").stderr


@pytest.mark.parametrize("letter", ["zzz", "0", "1.5", str(2**63)])
@pytest.mark.parametrize("command", ["show", "retry", "drop"])
def test_what_is_no_letter_is_told(telemetry: Run, command: str, letter: str) -> None:
    result = telemetry("deadletter", command, letter)
    assert result.returncode == 2
    assert f"{letter!r} must be the number of a dead letter; telemetry deadletter list shows them" in result.stderr


def test_a_header_that_cannot_be_kept_as_it_was_sent_is_never_stored(
    telemetry: Run, settings: Settings, engine: Engine, redis_client: redis.Redis
) -> None:
    collector = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))
    header, payload = wire.encode(batch(readings((key(), 0, 1.0)), "b1"))
    assert collector.persist({**header, "edge": "a\0b"}, payload).status == "dead"
    named = {**header, "batch_id": "named", "digest": "0" * 32, "more": "a\0b"}
    assert collector.persist(named, payload).status == "dead"
    retried = telemetry("deadletter", "retry", "--all")
    assert (retried.returncode, retried.stdout.count("refused: its header could not be kept as it was sent")) == (1, 2)
    assert "telemetry ingest FILE with another --batch-size" in retried.stdout
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM samples")) == 0
        edges = connection.scalars(text("SELECT header -> 'altered' ->> 'edge' FROM dead_letters ORDER BY id")).all()
        assert edges == ["a\N{REPLACEMENT CHARACTER}b", "test/node"]
        assert connection.execute(text("SELECT batch_id, status FROM batches")).all() == [("named", "dead")]


def test_an_edge_is_told_at_its_own_broker(
    settings: Settings, engine: Engine, environ: dict[str, str], redis_client: redis.Redis, tmp_path: Path
) -> None:
    keys = Keys(settings.key_prefix)
    with tempfile.TemporaryDirectory(prefix="telemetry-letters-") as name, Valkey(Path(name) / "valkey") as valkey:
        urls = {"TELEMETRY_BROKER_URLS": f"north={settings.broker_url} south={valkey.url}"}
        with broker.connect(replace(settings, broker_url=valkey.url)) as south:
            Claims(south, keys, "test/node", "streamer", 30).expect(60)
            collector = Collector(settings, engine, Acks(south, keys, 60))
            header, payload = wire.encode(batch(readings((key(), 0, 1.0)), "sound"))
            collector.persist({**header, "digest": "0" * 32}, payload)
            with engine.begin() as connection:
                connection.execute(text("UPDATE dead_letters SET header = CAST(:h AS jsonb)"), {"h": json.dumps(header)})
            variables = {**os.environ, **environ, **urls}
            del variables["TELEMETRY_BROKER_URL"]
            command = [str(BIN / "telemetry"), "deadletter", "retry", "--all"]
            assert subprocess.run(command, env=variables, capture_output=True, check=False, timeout=60).returncode == 0
            acks = keys.acks("test/node", "source-1")
            assert south.hget(acks, "sound").startswith(b"stored")
            assert not redis_client.exists(acks)
