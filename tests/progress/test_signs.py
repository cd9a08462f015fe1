"""Signs of life of edges: what streamers of the version before wrote is read, and forgotten."""

from __future__ import annotations

import redis

from telemetry import broker
from telemetry.progress.claims import REMEMBER_S
from telemetry.progress.keys import Keys
from telemetry.progress.signs import Sign, signs
from telemetry.settings import Settings


def test_an_edge_of_the_version_before_is_forgotten_after_a_while(settings: Settings, redis_client: redis.Redis) -> None:
    keys = Keys(settings.key_prefix)
    now_ms = broker.now_us(redis_client) // 1000
    times = {"lab/new": now_ms - 86_400_000, "lab/old": now_ms - (REMEMBER_S + 60) * 1000}
    redis_client.zadd(keys.expected(), times)
    redis_client.zadd(keys.seen(), times)
    assert signs(redis_client, keys) == {"lab/new": Sign(times["lab/new"], times["lab/new"])}
