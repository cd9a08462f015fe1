"""Beat: ticks that nobody takes do not fill the broker, and between two ticks it sleeps."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import NoReturn
from urllib.parse import parse_qs, urlsplit

import pytest
import redis

from telemetry.celery import make_app
from telemetry.progress.keys import Keys
from telemetry.settings import Settings
from telemetry.streamer.membership import Membership
from telemetry.streamer.schedule import MAX_WAITING, TickScheduler
from tests.faults.proxy import Proxy
from tests.fixtures.processes import Start
from tests.waiting import eventually


def test_ticks_that_nobody_takes_do_not_pile_up(
    start: Start, settings: Settings, redis_client: redis.Redis, tmp_path: Path
) -> None:
    start("celery", "-A", "telemetry", "beat", "-l", "debug", TELEMETRY_ROLE="edge", TELEMETRY_STREAM_INTERVAL_S="0.02")
    eventually(lambda: redis_client.llen(settings.tick_queue) >= MAX_WAITING, 20)
    ticks = ticked(tmp_path)
    eventually(lambda: ticked(tmp_path) > ticks + 20, 20)
    assert redis_client.llen(settings.tick_queue) == MAX_WAITING
    streamers = Membership(redis_client, Keys(settings.key_prefix), settings.edge, settings.lease_s)
    assert [streamers.count("one"), streamers.count("two")] == [1, 2]
    eventually(lambda: redis_client.llen(settings.tick_queue) == 2 * MAX_WAITING, 20)
    assert b'expires": null' in str(redis_client.lindex(settings.tick_queue, 0)).encode()


def test_beat_ends_though_the_signal_came_while_it_waited_for_the_broker(
    settings: Settings, redis_client: redis.Redis, way: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = parse_qs(urlsplit(settings.broker_url).query)["virtual_host"][0]
    scheduler = TickScheduler(make_app(replace(settings, role="edge", broker_url=f"redis://127.0.0.1:{way.port}/{number}")))
    scheduler.tick()

    def last_answer(queue: str) -> int:
        way.silence()
        return 0

    def end(*_: object) -> NoReturn:
        # As celery.apps.beat.Beat does.
        scheduler.close()
        raise SystemExit

    def signal_it() -> None:
        eventually(lambda: way.swallowed_bytes > 0)
        os.kill(os.getpid(), signal.SIGUSR1)

    monkeypatch.setattr(scheduler._client, "llen", last_answer)
    before = signal.signal(signal.SIGUSR1, end)
    sender = Thread(target=signal_it)
    sender.start()
    try:
        with pytest.raises(SystemExit):
            run(scheduler, turns=10)
    finally:
        sender.join()
        signal.signal(signal.SIGUSR1, before)


def test_beat_sleeps_until_a_tick_is_due(settings: Settings, redis_client: redis.Redis) -> None:
    scheduler = TickScheduler(make_app(replace(settings, role="edge", stream_interval_s=0.2)))
    turns = 0
    deadline = time.monotonic() + 10
    while redis_client.llen(settings.tick_queue) < MAX_WAITING and time.monotonic() < deadline:
        # As celery.beat.Service does.
        if (wait_s := scheduler.tick()) > 0:
            time.sleep(wait_s)
        turns += 1
    assert redis_client.llen(settings.tick_queue) == MAX_WAITING
    # A turn that sends, one that sleeps, one for the last moment, and now and then one that woke before it was over.
    assert turns <= 5 * MAX_WAITING
    scheduler.close()


def run(scheduler: TickScheduler, turns: int) -> None:
    """Let it turn some times, as celery.beat.Service does."""
    for _ in range(turns):
        time.sleep(max(0, scheduler.tick()))


def ticked(directory: Path) -> int:
    """How often beat has come by."""
    return sum(log.read_text().count("Sending due task") for log in directory.glob("*.log"))
