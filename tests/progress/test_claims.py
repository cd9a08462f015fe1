"""The fencing of sources on a real broker: one owner at a time, and the one who lost a source cannot write to it."""

from __future__ import annotations

import pytest
import redis

from telemetry.progress import losses, reading
from telemetry.progress.claims import REMEMBER_S, Claims, forget
from telemetry.progress.keys import Keys
from telemetry.progress.losses import Losses, LostRange
from telemetry.progress.state import StateError
from telemetry.settings import Settings
from tests.states import source_state
from tests.waiting import eventually

OLD, NEW = source_state(size_bytes=100), source_state(size_bytes=200)


def claims(client: redis.Redis, settings: Settings, owner: str, lease_s: int = 30) -> Claims:
    return Claims(client, Keys(settings.key_prefix), settings.edge, owner, lease_s)


def test_a_source_has_one_owner_at_a_time(redis_client: redis.Redis, settings: Settings) -> None:
    one, two = claims(redis_client, settings, "one"), claims(redis_client, settings, "two")
    claim = one.claim("s")
    assert claim is not None
    assert claim.state is None
    assert two.claim("s") is None
    assert one.save(claim, NEW).word == "saved"
    one.release(claim)
    taken = two.claim("s")
    assert taken is not None
    assert taken.state == NEW
    assert one.save(claim, OLD).word == "taken"
    assert two.sources() == {"s": NEW}


def test_a_silent_owner_loses_its_source(redis_client: redis.Redis, settings: Settings) -> None:
    one, two = claims(redis_client, settings, "one", lease_s=1), claims(redis_client, settings, "two")
    claim = one.claim("s")
    assert claim is not None
    eventually(lambda: two.claim("s"), 5)
    assert one.save(claim).word == "taken"


def test_lost_keys_are_told_and_the_state_can_be_given_back(redis_client: redis.Redis, settings: Settings) -> None:
    one = claims(redis_client, settings, "one")
    claim = one.claim("s")
    keys = Keys(settings.key_prefix)
    epoch = reading.epoch(redis_client, keys)
    assert claim is not None
    assert epoch == reading.epoch(redis_client, keys) == one.signals([]).epoch
    redis_client.delete(keys.source(settings.edge, "s"), keys.epoch())
    assert one.save(claim, NEW).word == "gone"
    assert one.signals([]).epoch != epoch
    again = one.claim("s", NEW)
    assert again is not None
    assert again.state == NEW


def test_keys_whose_hash_has_expired_are_forgotten(redis_client: redis.Redis, settings: Settings) -> None:
    one = claims(redis_client, settings, "one")
    one.claim("s", NEW)
    redis_client.delete(Keys(settings.key_prefix).source(settings.edge, "s"))
    assert one.sources() == {}
    assert redis_client.scard(Keys(settings.key_prefix).sources(settings.edge)) == 0


def test_a_source_just_claimed_is_not_taken_for_expired(redis_client: redis.Redis, settings: Settings) -> None:
    one, two = claims(redis_client, settings, "one"), claims(redis_client, settings, "two")
    claim = one.claim("s")
    assert claim is not None
    assert two.sources() == {}
    one.save(claim, NEW)
    assert two.sources() == {"s": NEW}


def test_a_lease_that_the_brokers_clock_has_left_behind_is_over(redis_client: redis.Redis, settings: Settings) -> None:
    one, two = claims(redis_client, settings, "one"), claims(redis_client, settings, "two")
    assert one.claim("s") is not None
    key = Keys(settings.key_prefix).source(settings.edge, "s")
    redis_client.hset(key, "lease_until_ms", int(redis_client.hget(key, "lease_until_ms") or 0) + 3_600_000)
    assert two.claim("s") is not None


def test_who_lost_a_source_removes_neither_it_nor_its_acknowledgements(redis_client: redis.Redis, settings: Settings) -> None:
    one, two = claims(redis_client, settings, "one", lease_s=1), claims(redis_client, settings, "two")
    claim = one.claim("s", OLD)
    assert claim is not None
    redis_client.hset(Keys(settings.key_prefix).acks(settings.edge, "s"), mapping={"a": "stored", "b": "stored"})
    assert one.save(claim, NEW, ["a"]).word == "saved"
    assert one.signals(["s"]).acks == {"s": {"b": "stored"}}
    taken = eventually(lambda: two.claim("s"), 5)
    assert one.save(claim, OLD, ["b"]).word == "taken"
    one.end(claim)
    assert two.sources() == {"s": NEW}
    assert taken is not None
    two.move(taken, "new")
    assert two.sources() == {"new": NEW}
    assert two.signals(["new"]).acks == {"new": {"b": "stored"}}


def test_a_token_that_came_again_does_not_let_another_owner_in(redis_client: redis.Redis, settings: Settings) -> None:
    one, two = claims(redis_client, settings, "one"), claims(redis_client, settings, "two")
    stale = one.claim("s", OLD)
    assert stale is not None
    one.forget("s")
    assert two.claim("s", NEW) is not None
    assert one.save(stale, OLD).word == "taken"


def test_a_state_that_cannot_be_read_hides_no_other(
    redis_client: redis.Redis, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    one, keys = claims(redis_client, settings, "one"), Keys(settings.key_prefix)
    one.claim("good", NEW)
    one.claim("bad", OLD)
    redis_client.hset(keys.source(settings.edge, "bad"), "state", "{}")
    assert reading.sources_by_edge(redis_client, keys) == {settings.edge: {"good": NEW}}
    assert "source bad is left out" in caplog.text
    with pytest.raises(StateError):
        one.claim("bad")
    with pytest.raises(StateError):
        claims(redis_client, settings, "two").claim("bad")  # It was given up at once.
    assert reading.source(redis_client, keys, settings.edge, "good") == NEW
    assert reading.source(redis_client, keys, settings.edge, "absent") is None


def test_the_ids_of_an_edge_that_is_silent_for_good_are_not_kept_for_ever(
    redis_client: redis.Redis, settings: Settings
) -> None:
    one, ids = claims(redis_client, settings, "one"), Keys(settings.key_prefix).sources(settings.edge)
    one.claim("s", NEW)
    assert 0 < int(redis_client.ttl(ids)) <= REMEMBER_S
    redis_client.expire(ids, 1000)
    one.expect(60)
    assert int(redis_client.ttl(ids)) > 1000


def test_a_source_that_is_held_is_not_forgotten(redis_client: redis.Redis, settings: Settings) -> None:
    one, keys = claims(redis_client, settings, "one"), Keys(settings.key_prefix)
    claim = one.claim("s", OLD)
    assert claim is not None
    assert forget(redis_client, keys, settings.edge, "s") == "one"
    assert one.sources() == {"s": OLD}
    one.release(claim)
    assert forget(redis_client, keys, settings.edge, "s") is None
    assert one.sources() == {}
    assert forget(redis_client, keys, settings.edge, "s") is None


def test_what_was_lost_of_a_file_is_forgotten_by_its_path(redis_client: redis.Redis, settings: Settings) -> None:
    keys = Keys(settings.key_prefix)
    recorded = Losses(redis_client, keys, settings.edge)
    for path, start in (("/a.csv", 0), ("/a.csv", 50), ("/b.csv", 0)):
        recorded.record(LostRange(path, "f", start, start + 10, "gone"))
    assert losses.forget(redis_client, keys, settings.edge, "/a.csv") == 2
    assert losses.forget(redis_client, keys, settings.edge, "/a.csv") == 0
    assert [loss.lost.path for loss in losses.of_edge(redis_client, keys, settings.edge)] == ["/b.csv"]
