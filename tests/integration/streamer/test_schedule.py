"""A beat whose streamers are gone does not fill the broker with ticks."""

from __future__ import annotations

from pathlib import Path

import redis

from telemetry.keys import Keys
from telemetry.settings import Settings
from telemetry.streamer.schedule import MOST_WAITING
from telemetry.streamer.share import Streamers
from tests.fixtures.processes import Start
from tests.waiting import eventually


def test_ticks_that_nobody_takes_do_not_pile_up(
    start: Start, settings: Settings, redis_client: redis.Redis, tmp_path: Path
) -> None:
    start("celery", "-A", "telemetry", "beat", "-l", "debug", TELEMETRY_ROLE="edge", TELEMETRY_STREAM_INTERVAL_S="0.02")
    eventually(lambda: redis_client.llen(settings.tick_queue) >= MOST_WAITING, 20)
    ticks = ticked(tmp_path)
    eventually(lambda: ticked(tmp_path) > ticks + 20, 20)
    assert redis_client.llen(settings.tick_queue) == MOST_WAITING
    streamers = Streamers(redis_client, Keys(settings.key_prefix), settings.edge, settings.lease_s)
    assert [streamers.count("one"), streamers.count("two")] == [1, 2]
    eventually(lambda: redis_client.llen(settings.tick_queue) == 2 * MOST_WAITING, 20)
    assert b'expires": null' in str(redis_client.lindex(settings.tick_queue, 0)).encode()


def ticked(directory: Path) -> int:
    """How often beat has come by."""
    return sum(log.read_text().count("Sending due task") for log in directory.glob("*.log"))
