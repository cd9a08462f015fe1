"""The registry's fencing on a real broker: one owner at a time, and the one who lost a source cannot write to it."""

from __future__ import annotations

import redis

from telemetry.progress.keys import Keys
from telemetry.progress.registry import Registry
from telemetry.settings import Settings
from tests.waiting import eventually


def registry(client: redis.Redis, settings: Settings, owner: str, lease_s: int = 30) -> Registry:
    return Registry(client, Keys(settings.key_prefix), settings.edge, owner, lease_s)


def test_a_source_has_one_owner_at_a_time(redis_client: redis.Redis, settings: Settings) -> None:
    one, two = registry(redis_client, settings, "one"), registry(redis_client, settings, "two")
    claim = one.claim("s")
    assert claim is not None
    assert claim.state is None
    assert two.claim("s") is None
    assert one.save(claim, {"at": 1}) == "saved"
    one.release(claim)
    taken = two.claim("s")
    assert taken is not None
    assert taken.state == {"at": 1}
    assert one.save(claim, {"at": 0}) == "taken"
    assert two.known() == {"s": {"at": 1}}


def test_a_silent_owner_loses_its_source(redis_client: redis.Redis, settings: Settings) -> None:
    one, two = registry(redis_client, settings, "one", lease_s=1), registry(redis_client, settings, "two")
    claim = one.claim("s")
    assert claim is not None
    eventually(lambda: two.claim("s"), 5)
    assert one.save(claim) == "taken"


def test_lost_keys_are_told_and_the_state_can_be_given_back(redis_client: redis.Redis, settings: Settings) -> None:
    one = registry(redis_client, settings, "one")
    claim = one.claim("s")
    epoch = one.epoch()
    assert claim is not None
    assert epoch == one.epoch()
    redis_client.delete(Keys(settings.key_prefix).source(settings.edge, "s"), Keys(settings.key_prefix).epoch())
    assert one.save(claim, {"at": 1}) == "gone"
    assert one.epoch() != epoch
    again = one.claim("s", {"at": 1})
    assert again is not None
    assert again.state == {"at": 1}


def test_keys_whose_hash_has_expired_are_forgotten(redis_client: redis.Redis, settings: Settings) -> None:
    one = registry(redis_client, settings, "one")
    one.claim("s", {"at": 1})
    redis_client.delete(Keys(settings.key_prefix).source(settings.edge, "s"))
    assert one.known() == {}
    assert redis_client.scard(Keys(settings.key_prefix).sources(settings.edge)) == 0


def test_a_source_just_claimed_is_not_taken_for_expired(redis_client: redis.Redis, settings: Settings) -> None:
    one, two = registry(redis_client, settings, "one"), registry(redis_client, settings, "two")
    claim = one.claim("s")
    assert claim is not None
    assert two.known() == {}
    one.save(claim, {"at": 1})
    assert two.known() == {"s": {"at": 1}}


def test_a_lease_that_the_brokers_clock_has_left_behind_is_over(redis_client: redis.Redis, settings: Settings) -> None:
    one, two = registry(redis_client, settings, "one"), registry(redis_client, settings, "two")
    assert one.claim("s") is not None
    key = Keys(settings.key_prefix).source(settings.edge, "s")
    redis_client.hset(key, "lease_until_ms", int(redis_client.hget(key, "lease_until_ms") or 0) + 3_600_000)
    assert two.claim("s") is not None


def test_who_lost_a_source_removes_neither_it_nor_its_acknowledgements(redis_client: redis.Redis, settings: Settings) -> None:
    one, two = registry(redis_client, settings, "one", lease_s=1), registry(redis_client, settings, "two")
    claim = one.claim("s", {"at": 0})
    assert claim is not None
    redis_client.hset(Keys(settings.key_prefix).acks(settings.edge, "s"), mapping={"a": "stored", "b": "stored"})
    assert one.save(claim, {"at": 1}, ["a"]) == "saved"
    assert one.look(["s"]).acks == {"s": {"b": "stored"}}
    taken = eventually(lambda: two.claim("s"), 5)
    assert one.save(claim, {"at": 0}, ["b"]) == "taken"
    one.end(claim)
    assert two.known() == {"s": {"at": 1}}
    assert taken is not None
    two.move(taken, "new")
    assert two.known() == {"new": {"at": 1}}
    assert two.look(["new"]).acks == {"new": {"b": "stored"}}


def test_a_token_that_came_again_does_not_let_another_owner_in(redis_client: redis.Redis, settings: Settings) -> None:
    one, two = registry(redis_client, settings, "one"), registry(redis_client, settings, "two")
    stale = one.claim("s", {"at": 0})
    assert stale is not None
    one.forget("s")
    assert two.claim("s", {"at": 1}) is not None
    assert one.save(stale, {"at": 0}) == "taken"
