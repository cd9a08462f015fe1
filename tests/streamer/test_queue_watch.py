"""Since when the queue is proven to be empty, on a real broker."""

from __future__ import annotations

from pathlib import Path

import redis

from telemetry.progress.keys import Keys
from telemetry.settings import Settings
from telemetry.streamer.queue_watch import EMPTY_S, QueueWatch
from tests.streamer.edge import Edge
from tests.waiting import eventually


def test_an_empty_queue_is_proof_after_a_while_and_only_while_something_is_overdue(edge: Edge, file: Path) -> None:
    with edge.streamer(republish_after_s=0.1) as streamer:
        streamer.tick(0)
        streams = list(streamer.streams.values())
        watch = QueueWatch(edge.client, streamer.settings)
        assert watch.look(streams) == (None, None), "the batches wait in the queue"
        fetched = edge.fetch()
        eventually(lambda: watch.look(streams).empty_since_s, 2 * EMPTY_S + 5)
        assert watch.look(streams).acked_sent_s is None
        edge.acknowledge(*fetched)
        streamer.tick(0)
        assert watch.look(streams).empty_since_s is None, "nothing is overdue any more"
        assert watch.look(streams).acked_sent_s is not None


def test_a_message_that_a_collector_holds_is_no_empty_queue(
    edge: Edge, file: Path, redis_client: redis.Redis, settings: Settings
) -> None:
    with edge.streamer(republish_after_s=0.1) as streamer:
        streamer.tick(0)
        streams = list(streamer.streams.values())
        watch = QueueWatch(edge.client, streamer.settings)
        edge.fetch()
        eventually(lambda: watch.look(streams).empty_since_s, 2 * EMPTY_S + 5)
        redis_client.hset(Keys(settings.key_prefix).unacked("central"), "tag", "message")
        assert watch.look(streams).empty_since_s is None
