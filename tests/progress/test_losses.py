"""What is recorded as lost, and taken back where it was found."""

from __future__ import annotations

import redis

from telemetry.progress import losses
from telemetry.progress.keys import Keys
from telemetry.progress.losses import Losses, LostRange


def test_what_came_back_and_is_committed_is_not_lost(redis_client: redis.Redis) -> None:
    keys = Keys("test-losses")
    record = Losses(redis_client, keys, "a/b")
    gone, cut = LostRange("/a.csv", "one", 100, 200, "gone"), LostRange("/a.csv", "one", 300, 400, "cut")
    for each in (gone, cut):
        record.record(each)

    def left() -> list[LostRange]:
        return [loss.lost for loss in losses.of_edge(redis_client, keys, "a/b")]

    for committed in ({("/a.csv", "one"): 199}, {("/a.csv", "two"): 500}, {("/b.csv", "one"): 500}, {}):
        record.withdraw(committed, ["gone"])
        assert left() == [gone, cut]
    record.withdraw({("/a.csv", "one"): 500}, ["gone"])
    assert left() == [cut]
    redis_client.delete(keys.lost("a/b"))
