"""Commands with two brokers, one of which is away: they do what they can, and say what they have not done."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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
from telemetry.readings.rows import QuarantinedRow
from telemetry.settings import Settings
from telemetry.trust import rights
from tests.batches import batch, key, readings
from tests.states import source_state

NORTH, SOUTH = "rack/north", "rack/south"
PATHS = {NORTH: "/var/dumps/n.csv", SOUTH: "/var/dumps/s.csv"}
CENTRE = {"TELEMETRY_TRUST_SECRET": "s" * 40}

Run = Callable[..., subprocess.CompletedProcess[str]]


@dataclass
class Two:
    """Brokers `north` and `south`, each with an edge that has a source there; `south` is a server of the test's own."""

    south: Valkey
    variables: dict[str, str]
    telemetry: Run
    settings: Settings
    engine: Engine

    def run(self, *words: str, code: int) -> subprocess.CompletedProcess[str]:
        """A command, which must end with that."""
        done = self.telemetry(*words, **self.variables)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def told(self, *words: str, code: int) -> Any:
        """The JSON that a command prints."""
        return json.loads(self.run(*words, "--json", code=code).stdout)

    def persist(self, *messages: tuple[Any, bytes]) -> None:
        """Let a collector of the north have some messages."""
        with broker.connect(self.settings) as client:
            collector = Collector(self.settings, self.engine, Acks(client, Keys(self.settings.key_prefix), 60))
            for message in messages:
                collector.persist(*message)

    def users(self) -> list[str]:
        """The users that the south has of edges."""
        with broker.connect(replace(self.settings, broker_url=self.south.url)) as client:
            return [name for name in map(str, client.acl_users()) if ".edge." in name]


@pytest.fixture
def two(settings: Settings, engine: Engine, telemetry: Run, redis_client: redis.Redis, tmp_path: Path) -> Iterator[Two]:
    keys = Keys(settings.key_prefix)
    with Valkey(tmp_path / "south", {"save": ""}) as south:
        with broker.connect(replace(settings, broker_url=south.url)) as other:
            for edge, client in ((NORTH, redis_client), (SOUTH, other)):
                claims = Claims(client, keys, edge, "streamer", 30)
                claim = claims.claim("source", source_state(path=PATHS[edge]))
                assert claim
                claims.release(claim)
                claims.expect(60)
        urls = {"TELEMETRY_BROKER_URL": "", "TELEMETRY_BROKER_URLS": f"north={settings.broker_url} south={south.url}"}
        yield Two(south, urls | CENTRE, telemetry, settings, engine)
    for name in map(str, redis_client.acl_users()):
        if name.startswith(settings.key_prefix):
            redis_client.acl_deluser(name)


def of_edge(edge: str, name: str, quarantined: tuple[QuarantinedRow, ...] = ()) -> tuple[dict[str, Any], bytes]:
    """A message of an edge."""
    source = wire.Source("source", PATHS[edge], f"of {edge}", "dcgm", None)
    return wire.encode(batch(readings((key(gpu=edge), 0, 1.0), quarantined=quarantined), name, edge=edge, source=source))


def test_a_rewind_sets_back_the_edges_of_the_others_and_names_what_is_left(two: Two) -> None:
    two.persist(of_edge(NORTH, "n"), of_edge(SOUTH, "s"))
    two.south.kill()
    told = two.told("rewind", code=1)
    assert [(source["edge"], source["path"]) for source in told["rewound"]] == [(NORTH, PATHS[NORTH])]
    assert (list(told["away"]), told["left"], told["unread"]) == (["south"], [SOUTH], [])
    again = two.run("rewind", code=1)
    assert "not set back: edges of the broker south, which does not answer" in again.stderr
    assert f"no broker that answers knows {SOUTH}" in again.stderr
    assert "0 sources set back" in again.stdout
    two.south.start()
    assert [source["edge"] for source in two.told("rewind", code=0)["rewound"]] == [SOUTH]
    assert two.run("rewind", code=0).stdout == "every edge is where the ledger is\n"


def test_without_any_broker_nothing_is_begun(two: Two) -> None:
    two.south.kill()
    two.variables["TELEMETRY_BROKER_URLS"] = f"south={two.south.url} other=redis://127.0.0.1:1/0"
    assert "cannot reach the broker" in two.run("rewind", code=1).stderr
    with two.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM generations WHERE reason = 'telemetry rewind'")) == 0


def test_what_is_at_a_broker_that_is_away_is_not_called_forgotten(two: Two, redis_client: redis.Redis) -> None:
    two.south.kill()
    entries = two.told("forget", PATHS[NORTH], PATHS[SOUTH], code=1)
    assert [(entry["path"], entry["edge"], entry["status"]) for entry in entries] == [
        (PATHS[NORTH], NORTH, "forgotten"),
        (PATHS[NORTH], None, "away"),
        (PATHS[SOUTH], None, "away"),
    ]
    shown = two.run("forget", PATHS[SOUTH], code=1).stdout
    assert f"{PATHS[SOUTH]}: the broker south was not asked, as it does not answer" in shown
    # Of an edge that is at work at the other one it is certain.
    keys = Keys(two.settings.key_prefix)
    Claims(redis_client, keys, NORTH, "streamer", 30).claim("again", source_state(path=PATHS[NORTH]))
    redis_client.hset(keys.source(NORTH, "again"), "lease_until_ms", 0)
    redis_client.zadd(keys.streamers(NORTH), {"host:1:x": broker.now_us(redis_client) / 1000 + 60_000})
    assert [entry["status"] for entry in two.told("forget", "--edge", NORTH, PATHS[NORTH], code=0)] == ["forgotten"]
    two.south.start()
    assert [entry["status"] for entry in two.told("forget", PATHS[SOUTH], code=0)] == ["forgotten"]


def test_letters_are_stored_whichever_broker_is_away(two: Two) -> None:
    for edge in (NORTH, SOUTH):
        header, payload = of_edge(edge, f"of-{edge}")
        two.persist(({**header, "digest": "0" * 32}, payload))
        with two.engine.begin() as connection:
            mended = {"h": json.dumps(header), "b": header["batch_id"]}
            connection.execute(text("UPDATE dead_letters SET header = CAST(:h AS jsonb) WHERE batch_id = :b"), mended)
    two.south.kill()
    assert [letter["status"] for letter in two.told("deadletter", "retry", "--all", code=0)] == ["stored", "stored"]


def test_rows_of_an_edge_that_nobody_can_ask_for_stay_in_quarantine(two: Two) -> None:
    bad = (QuarantinedRow(40, 2, "bad_value", b"x"),)
    two.persist(of_edge(NORTH, "n", bad), of_edge(SOUTH, "s", bad))
    two.south.kill()
    reasons = {edge: why for edge, _, _, _, _, why in map(dict.values, two.told("quarantine", "retry", code=1))}
    assert reasons[SOUTH] == f"no broker that answers knows {SOUTH}, and south does not answer"
    assert "south" not in reasons[NORTH]


def test_edges_get_and_lose_credentials_and_a_broker_is_told_later(two: Two) -> None:
    def user(name: str) -> str:
        return rights.edge_name(two.settings.key_prefix, name)

    two.run("edge", "add", SOUTH, code=0)
    assert two.users() == [user(SOUTH)]
    two.south.kill()
    added = two.run("edge", "add", NORTH, "--json", code=1)
    assert json.loads(added.stdout)["serial"] == 1
    assert "the broker south was not told" in added.stderr
    assert "run `telemetry broker acl --apply` when it is back" in added.stderr
    assert json.loads(two.run("edge", "rotate", NORTH, "--json", code=1).stdout)["serial"] == 2
    assert f"run `telemetry edge rotate {NORTH} --finish` again" in two.run("edge", "rotate", NORTH, "--finish", code=1).stderr
    assert two.run("edge", "revoke", SOUTH, code=1).stdout == f"{SOUTH} is revoked\n"
    assert "south was not told" in two.run("broker", "acl", "--apply", code=1).stderr
    two.south.start()
    two.run("edge", "rotate", NORTH, "--finish", code=0)
    two.run("broker", "acl", "--apply", code=0)
    assert two.users() == [user(NORTH)]


def test_status_and_doctor_name_the_one_that_is_away(two: Two) -> None:
    two.south.kill()
    shown = two.told("status", code=1)
    assert (shown["parts"]["broker north"]["status"], shown["parts"]["broker south"]["status"]) == ("ok", "no answer")
    assert [edge["edge"] for edge in shown["edges"]] == [NORTH]
    assert [source["edge"] for source in two.told("sources", code=1)] == [NORTH]
    told = two.run("doctor", "--role", "central", code=1).stdout
    assert "broker south" in told
    assert "broker north" in told
