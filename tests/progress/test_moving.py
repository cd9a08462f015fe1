"""An edge that moves from one of several brokers to another: its sources come along, and it is shown once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest
import redis

from telemetry import broker
from telemetry.cli.overview import Progress, joined
from telemetry.exporter.broker import BrokerLook
from telemetry.local.servers import Valkey
from telemetry.progress import losses, moving, reading
from telemetry.progress.claims import REMEMBER_S, Claims
from telemetry.progress.everywhere import Everywhere, heard, homes
from telemetry.progress.growth import Note
from telemetry.progress.keys import Keys
from telemetry.progress.losses import Losses, LostRange
from telemetry.progress.moving import bring, forget_moved
from telemetry.progress.signs import Sign
from telemetry.progress.state import SourceState
from telemetry.settings import Settings
from telemetry.trust import rights, server
from tests.states import source_state
from tests.waiting import eventually

NEW, LATER = source_state(size_bytes=100), source_state(size_bytes=200)
EDGE = "rack/one"


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("second"), {"save": ""}) as valkey:
        yield valkey


@pytest.fixture
def clients(settings: Settings, redis_client: redis.Redis, second: Valkey) -> Iterator[dict[str, redis.Redis]]:
    keys = Keys(settings.key_prefix)
    with broker.connect(replace(settings, broker_url=second.url)) as other:
        for client in (redis_client, other):
            reading.epoch(client, keys)
        yield {"old": redis_client, "new": other}
        other.flushdb()


def streams_at(client: redis.Redis, keys: Keys) -> Claims:
    claims = Claims(client, keys, EDGE, "streamer", 30)
    claims.expect(60)
    return claims


def test_sources_come_along_with_their_headers_and_losses(settings: Settings, clients: dict[str, redis.Redis]) -> None:
    keys, old, new = Keys(settings.key_prefix), clients["old"], clients["new"]
    claims = streams_at(old, keys)
    assert claims.claim("a", NEW)
    claims.remember_header(NEW.path, b"head")
    Losses(old, keys, EDGE).record(LostRange("/x.csv", "f", 0, 7, "gone"))
    assert bring(EDGE, keys, new, {"old": old}) == 1
    assert reading.sources(new, keys, EDGE) == {"a": NEW}
    assert [loss.lost.end for loss in losses.of_edge(new, keys, EDGE)] == [7]
    arrived = Claims(new, keys, EDGE, "other", 30)
    assert arrived.header(NEW.path) == b"head"
    claim = arrived.claim("a")
    assert claim
    assert claim.state == NEW
    # It is here now, and what the old broker knows is no news.
    arrived.expect(60)
    assert bring(EDGE, keys, new, {"old": old}) == 0


def test_an_edge_that_comes_back_brings_what_is_newer(settings: Settings, clients: dict[str, redis.Redis]) -> None:
    keys, old, new = Keys(settings.key_prefix), clients["old"], clients["new"]
    stale = streams_at(old, keys).claim("a", NEW)
    assert stale
    now_ms = broker.now_us(old) // 1000
    old.set(keys.sign(EDGE), f"{now_ms - 5000} {now_ms}")
    assert streams_at(new, keys).claim("a", LATER)
    assert bring(EDGE, keys, old, {"new": new}) == 1
    assert reading.sources(old, keys, EDGE) == {"a": LATER}
    # A streamer of before that wakes up does not write over it.
    assert Claims(old, keys, EDGE, "streamer", 30).save(stale, NEW).word == "taken"


def test_a_broker_that_is_away_keeps_no_edge_waiting(
    settings: Settings, clients: dict[str, redis.Redis], tmp_path: Path
) -> None:
    keys = Keys(settings.key_prefix)
    away = broker.connect(replace(settings, broker_url=f"redis+socket://{tmp_path}/none"), retries=0)
    streams_at(clients["old"], keys).claim("a", NEW)
    assert bring(EDGE, keys, clients["new"], {"away": away, "old": clients["old"]}) == 1


def test_it_is_shown_where_it_is_and_the_rest_removed(settings: Settings, clients: dict[str, redis.Redis]) -> None:
    keys, old, new = Keys(settings.key_prefix), clients["old"], clients["new"]
    streams_at(old, keys).claim("a", NEW)
    old.zadd(keys.streamers(EDGE), {"host:1:x": broker.now_us(old) / 1000 + 60_000})
    left_us = broker.now_us(old)
    # Longer than the brokers are asked one after the other: each says by its own clock how old its sign is.
    eventually(lambda: broker.now_us(old) > left_us + 500_000)
    bring(EDGE, keys, new, {"old": old})
    streams_at(new, keys)
    edges = Everywhere(clients, keys)
    edges.look()
    assert edges.client_of(EDGE) is new
    assert list(edges.states) == [EDGE]
    several = replace(settings, broker_urls=(("old", "x"), ("new", "y")))
    known: dict[str, object] = {}
    looks = {name: BrokerLook(name, clients, several, known) for name in clients}  # type: ignore[arg-type]
    looks["new"]()
    shown = [
        (sample.name, sample.labels["broker"])
        for look in looks.values()
        for metric in look()
        for sample in metric.samples
        if sample.labels.get("edge") == EDGE
    ]
    assert ("telemetry_edge_silent_seconds", "new") in shown
    assert {name for _, name in shown} == {"new"}
    # A streamer is at work there.
    assert not forget_moved(EDGE, keys, old, new)
    old.delete(keys.streamers(EDGE))
    looks["old"]()
    assert not [key for key in old.keys(f"{settings.key_prefix}*") if EDGE.encode() in key]
    assert not reading.edges(old, keys)
    assert reading.sources(new, keys, EDGE) == {"a": NEW}


def test_one_server_under_two_names_loses_nothing(settings: Settings, clients: dict[str, redis.Redis]) -> None:
    """As a host and its alias, which nobody can tell by their names."""
    keys, old = Keys(settings.key_prefix), clients["old"]
    claim = streams_at(old, keys).claim("a", NEW)
    assert claim
    assert bring(EDGE, keys, old, {"alias": old}) == 0
    assert not forget_moved(EDGE, keys, old, old)
    assert Claims(old, keys, EDGE, "streamer", 30).save(claim, NEW).word == "saved"


def test_losses_that_were_not_brought_are_not_forgotten(settings: Settings, clients: dict[str, redis.Redis]) -> None:
    """The former broker was away when the edge moved."""
    keys, old, new = Keys(settings.key_prefix), clients["old"], clients["new"]
    streams_at(old, keys)
    Losses(old, keys, EDGE).record(LostRange("/x.csv", "f", 0, 7, "gone"))
    streams_at(new, keys)
    assert forget_moved(EDGE, keys, old, new)
    assert [loss.lost.end for loss in losses.of_edge(new, keys, EDGE)] == [7]


def test_times_are_those_of_the_new_brokers_clock(
    settings: Settings, clients: dict[str, redis.Redis], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, old, new = Keys(settings.key_prefix), clients["old"], clients["new"]
    now_us, ahead_us = broker.now_us(new), 3_600_000_000
    behind = source_state(size_bytes=300, growth=(Note(300, now_us - ahead_us),), changed_us=now_us - ahead_us)
    streams_at(old, keys).claim("a", behind)
    real = broker.now_us
    monkeypatch.setattr(broker, "now_us", lambda client: real(client) - (ahead_us if client is old else 0))
    assert bring(EDGE, keys, new, {"old": old}) == 1
    (state,) = reading.sources(new, keys, EDGE).values()
    assert state.lag_s(now_us) < 60
    assert abs(state.changed_us - now_us) < 60_000_000


def test_what_its_own_broker_did_not_take_is_brought_again(
    settings: Settings, clients: dict[str, redis.Redis], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, old, new = Keys(settings.key_prefix), clients["old"], clients["new"]
    claims = streams_at(old, keys)
    for name in ("a", "b"):
        claims.claim(name, NEW)
    monkeypatch.setattr(moving, "AT_ONCE", 1)
    with monkeypatch.context() as patch:
        patch.setattr(new, "expire", refuse)
        with pytest.raises(redis.OutOfMemoryError):
            bring(EDGE, keys, new, {"old": old})
    assert bring(EDGE, keys, new, {"old": old}) == 2
    assert bring(EDGE, keys, new, {"old": old}) == 0


def refuse(*_: object) -> None:
    raise redis.OutOfMemoryError("full")


def test_an_edge_of_ingest_is_where_it_claimed_last(settings: Settings, clients: dict[str, redis.Redis]) -> None:
    """Such an edge gives no signs of life."""
    keys, old, new = Keys(settings.key_prefix), clients["old"], clients["new"]
    Claims(old, keys, EDGE, "ingest", 30).claim("a", NEW)
    old.expire(keys.sources(EDGE), REMEMBER_S - 100)
    assert bring(EDGE, keys, new, {"old": old}) == 1
    Claims(new, keys, EDGE, "ingest", 30).claim("b", LATER)
    edges = Everywhere(clients, keys)
    edges.look()
    assert edges.states == {EDGE: {"a": NEW, "b": LATER}}
    assert edges.client_of(EDGE) is new


def test_what_a_user_of_the_broker_may(settings: Settings, clients: dict[str, redis.Redis], second: Valkey) -> None:
    """An edge brings its sources, and the exporter removes what it left, each with the rights that it has."""
    keys, old = Keys(settings.key_prefix), clients["old"]
    streams_at(old, keys).claim("a", NEW)
    for client in clients.values():
        server.write(client, rights.of_edge(settings.key_prefix, EDGE), ["p"])
        server.write(client, rights.of_role(settings.key_prefix, "exporter"), ["p"])
    edge_user = rights.edge_name(settings.key_prefix, EDGE)
    as_edge = {name: user(settings, client, second, edge_user) for name, client in clients.items()}
    assert bring(EDGE, keys, as_edge["new"], {"old": as_edge["old"]}) == 1
    exporter = user(settings, old, second, rights.role_name(settings.key_prefix, "exporter"))
    assert heard(exporter, keys)
    home = user(settings, clients["new"], second, rights.role_name(settings.key_prefix, "exporter"))
    assert forget_moved(EDGE, keys, exporter, home)
    for client in clients.values():
        for name in (edge_user, rights.role_name(settings.key_prefix, "exporter")):
            client.acl_deluser(name)


def test_users_of_the_version_before_work_on(settings: Settings, clients: dict[str, redis.Redis], second: Valkey) -> None:
    """They may ask less until `telemetry broker acl --apply`."""
    keys, old = Keys(settings.key_prefix), clients["old"]
    streams_at(old, keys).claim("a", NEW)
    edge_user = rights.edge_name(settings.key_prefix, EDGE)
    for client in clients.values():
        server.write(client, rights.of_edge(settings.key_prefix, EDGE), ["p"])
        client.execute_command("ACL", "SETUSER", edge_user, "-pttl")  # type: ignore[no-untyped-call]
    as_edge = {name: user(settings, client, second, edge_user) for name, client in clients.items()}
    assert bring(EDGE, keys, as_edge["new"], {}) == 0
    assert bring(EDGE, keys, as_edge["new"], {"old": as_edge["old"]}) == 1
    for client in clients.values():
        client.acl_deluser(edge_user)


def user(settings: Settings, client: redis.Redis, second: Valkey, name: str) -> redis.Redis:
    url = settings.broker_url if client.connection_pool.connection_kwargs["path"] in settings.broker_url else second.url
    return broker.connect(
        replace(settings, broker_url=url.replace("redis+socket://", f"redis+socket://{name.replace('/', '%2F')}:p@")), retries=0
    )


def test_where_edges_are() -> None:
    known = {"a": {"x": 1.0, "y": -inf, "z": 5.0}, "b": {"x": 2.0, "y": -inf}, "c": {"w": -inf}}
    assert homes(known) == {"x": "b", "y": "a", "z": "a", "w": "c"}
    assert homes({}) == {}


def test_status_shows_an_edge_once() -> None:
    def known(heard_s: float, state: SourceState, number: int) -> Progress:
        queue = {"waiting": number, "unacked": 0}
        return Progress({EDGE: {"a": state}}, [], {EDGE: Sign(number, number)}, {}, queue, [], {EDGE: number}, {EDGE: heard_s})

    both = joined({"a": known(1.0, NEW, 3), "b": known(2.0, LATER, 4)})
    assert both
    assert (both.states, both.signs, both.clocks) == ({EDGE: {"a": LATER}}, {EDGE: Sign(4, 4)}, {EDGE: 4})
    assert both.queue == {"waiting": 7, "unacked": 0}
    assert joined({}) is None
