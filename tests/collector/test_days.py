"""The days that the readings of an edge may fall on: what is beyond is that edge's cost alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
import redis
from sqlalchemy import Engine

from telemetry.celery import make_app
from telemetry.collector.days import SETTING, WINDOW_S, DayBound
from telemetry.collector.intake import Amount, Intake
from telemetry.collector.messages import Message
from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.streamer.publish import publisher
from tests.batches import batch, key, readings
from tests.fixtures.services import Query
from tests.waiting import eventually

DAY_S = 86_400
PARTITIONS = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'samples'::regclass"

QUIET = "SELECT count(*) FROM batches b JOIN sources s ON s.id = b.source_id WHERE s.edge = 'quiet/node'"


def touching(edge: str, days: Iterable[int], name: str) -> Message:
    """A message with a reading of each day before that of the other tests."""
    rows = [(key(gpu=edge), -day * DAY_S, 1.0) for day in days]
    number = int(name)
    return wire.encode(batch(readings(*rows), f"{edge}-{name}", edge=edge, start=1000 * number, end=1000 * number + 1000))


@pytest.fixture
def own(settings: Settings, engine: Engine, redis_client: redis.Redis) -> Collector:
    keys = Keys(settings.key_prefix)
    intake = Intake(redis_client, keys, Amount(), DayBound(redis_client, keys, 10))
    return Collector(settings, engine, Acks(redis_client, keys, settings.ack_ttl_s), intake)


def statuses(own: Collector, *messages: Message) -> list[str]:
    return [getattr(outcome, "status", repr(outcome)) for outcome in own.persist_all(messages)]


def test_one_edge_touches_all_of_history_and_the_other_does_not_notice(
    own: Collector, settings: Settings, redis_client: redis.Redis, query: Query
) -> None:
    loud = [touching("loud/node", range(8 * n, 8 * n + 8), str(n)) for n in range(1, 4)]
    quiet = [touching("quiet/node", (0, n), str(n)) for n in range(1, 4)]
    assert statuses(own, loud[0], quiet[0], loud[1], quiet[1], loud[2]) == ["stored", "stored", "refused", "stored", "refused"]
    # What it has touched in this hour costs nothing more, and it may touch as many as are left.
    again = touching("loud/node", (8, 9, 100, 101), "9")
    assert statuses(own, again, loud[1], quiet[2]) == ["stored", "refused", "stored"]
    assert statuses(own, touching("loud/node", range(8, 16), "10"), touching("loud/node", (102,), "11")) == [
        "stored",
        "refused",
    ]
    keys = Keys(settings.key_prefix)
    assert redis_client.scard(keys.days("loud/node")) == 10
    assert 0 < redis_client.ttl(keys.days("loud/node")) <= WINDOW_S
    # It is not acknowledged, so the edge sends it again; nothing of it is kept meanwhile.
    acknowledged = redis_client.hkeys(keys.acks("loud/node", "source-1"))
    assert sorted(acknowledged) == [b"loud/node-1", b"loud/node-10", b"loud/node-9"]
    assert query("SELECT count(*) FROM dead_letters") == [(0,)]
    # The window ends by itself.
    redis_client.delete(keys.days("loud/node"))
    assert statuses(own, loud[1], loud[2]) == ["stored", "refused"]


def test_a_batch_of_more_days_than_the_bound_waits_for_a_person(own: Collector, query: Query) -> None:
    before = query(PARTITIONS)
    huge = touching("loud/node", range(1, 12), "1")
    assert statuses(own, touching("quiet/node", (0,), "1"), huge, huge) == ["stored", "dead", "known dead"]
    [(error, edge)] = query("SELECT d.error, s.edge FROM dead_letters d JOIN sources s ON s.edge = 'loud/node'")
    assert SETTING in error
    assert "11 days" in error
    assert edge == "loud/node"
    assert query(PARTITIONS) == [(before[0][0] + 1,)]


def test_a_failure_counts_no_days(own: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(own, "_store", away)
        for n in range(1, 4):
            with pytest.raises(ConnectionError):
                own.persist_all([touching("loud/node", range(8 * n, 8 * n + 8), str(n))])
    assert statuses(own, touching("loud/node", range(50, 60), "5")) == ["stored"]


def test_running_collectors_make_no_more_partitions_than_an_edge_may(
    start_collector: Callable[..., object], settings: Settings, redis_client: redis.Redis, query: Query
) -> None:
    send = publisher(make_app(replace(settings, role="edge")), settings)
    start_collector(TELEMETRY_EDGE_DAYS_PER_HOUR="20")
    send([touching("quiet/node", (0,), "1")])
    eventually(lambda: query("SELECT count(*) FROM batches") == [(1,)], 30)
    send([touching("loud/node", range(300 * n, 300 * n + 300), str(n)) for n in range(1, 4)])
    send([touching("loud/node", range(20 * n, 20 * n + 20), str(n)) for n in range(50, 90)])
    send([touching("quiet/node", (1,), "2")])
    eventually(lambda: redis_client.llen(settings.ingest_queue) == 0, 30)
    eventually(lambda: query("SELECT count(*) FROM batches WHERE status = 'dead'") == [(3,)], 30)
    eventually(lambda: query(QUIET) == [(2,)], 30)
    # Two processes of the pool that look at once may each pass a group's first.
    [(days,)] = query("SELECT count(DISTINCT date_trunc('day', ts)) FROM samples")
    assert 20 <= days <= 42
