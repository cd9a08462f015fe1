"""Attempts at a message are counted in the broker, where they outlive the container."""

from __future__ import annotations

import redis

from telemetry.collector.attempts import REMEMBER_S, Attempts
from telemetry.progress.keys import Keys
from telemetry.settings import Settings


def attempts(client: redis.Redis, settings: Settings) -> Attempts:
    return Attempts(client, Keys(settings.key_prefix), limit=2)


def test_attempts_that_nobody_ended_condemn_a_message(redis_client: redis.Redis, settings: Settings) -> None:
    # Each time another process, as after a kill.
    assert [attempts(redis_client, settings).begin("a") for _ in range(3)] == [False, False, True]
    assert not attempts(redis_client, settings).begin("b")
    assert 0 < redis_client.ttl(Keys(settings.key_prefix).attempts("a")) <= REMEMBER_S


def test_attempts_that_the_surroundings_spoilt_do_not_count_and_settled_messages_are_forgotten(
    redis_client: redis.Redis, settings: Settings
) -> None:
    counted = attempts(redis_client, settings)
    for _ in range(5):
        assert not counted.begin("a")
        counted.excused("a")
    # One that could not be noted.
    counted.excused("a")
    assert [counted.begin("a") for _ in range(3)] == [False, False, True]
    counted.settled("a")
    assert not redis_client.exists(Keys(settings.key_prefix).attempts("a"))


def test_without_a_broker_nothing_is_counted_and_nothing_fails(settings: Settings) -> None:
    nowhere = redis.Redis.from_url("unix:///nowhere")
    assert not attempts(nowhere, settings).begin("a")
    attempts(nowhere, settings).excused("a")
