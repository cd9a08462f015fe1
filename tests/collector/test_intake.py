"""What an edge may send: what is beyond is refused and comes again, and other edges do not notice."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import redis
from sqlalchemy import Engine

from telemetry.celery import make_app
from telemetry.collector.days import DayBound
from telemetry.collector.intake import NAMELESS, WINDOW_S, Amount, Intake
from telemetry.collector.messages import Message
from telemetry.collector.outcome import Outcome
from telemetry.collector.persist import Collector
from telemetry.monitoring.counters import definitions
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.readings.rows import Readings
from telemetry.settings import Settings
from telemetry.streamer.publish import publisher
from tests.batches import batch, key, readings
from tests.fixtures.services import Query
from tests.waiting import eventually

ROWS = 3


@pytest.fixture
def intake(settings: Settings, redis_client: redis.Redis) -> Intake:
    return bounded(redis_client, Keys(settings.key_prefix), Amount(messages=5))


def bounded(client: redis.Redis, keys: Keys, limits: Amount, days: int = 0) -> Intake:
    return Intake(client, keys, limits, DayBound(client, keys, days))


def collector(settings: Settings, engine: Engine, intake: Intake) -> Collector:
    return Collector(settings, engine, Acks(intake.client, intake.keys, settings.ack_ttl_s), intake)


def messages(edge: str, number: int, first: int = 0) -> list[Message]:
    return [
        wire.encode(batch(content(edge, i), edge=edge, batch_id=f"{edge}-{i}", start=1000 * i, end=1000 * i + 1000))
        for i in range(first, first + number)
    ]


def content(edge: str, number: int) -> Readings:
    return readings(*((key(gpu=edge), ROWS * number + second, 1.0) for second in range(ROWS)))


def statuses(outcomes: Sequence[Outcome | Exception]) -> list[Any]:
    return [getattr(outcome, "status", outcome) for outcome in outcomes]


def test_one_edge_floods_and_the_other_does_not_notice(
    settings: Settings, engine: Engine, intake: Intake, query: Query
) -> None:
    own = collector(settings, engine, intake)
    before = beyond()
    flood, other = messages("loud/node", 8), messages("quiet/node", 2)
    outcomes = own.persist_all([*flood[:4], other[0], *flood[4:], other[1]])
    assert statuses(outcomes) == [*["stored"] * 4, "stored", "stored", *["refused"] * 3, "stored"]
    assert statuses(own.persist_all([*flood[6:], *messages("quiet/node", 2, 2)])) == ["refused", "refused", "stored", "stored"]
    assert beyond() - before == 5
    # It is not acknowledged, so the edge knows that it has to send it again.
    acknowledged = intake.client.hkeys(intake.keys.acks("loud/node", "source-1"))
    assert sorted(acknowledged) == [f"loud/node-{i}".encode() for i in range(5)]
    assert query("SELECT count(*) FROM dead_letters") == [(0,)]
    # The window ends by itself, and the edge has what it sends again stored.
    window = intake.keys.intake("loud/node")
    assert 0 < intake.client.ttl(window) <= WINDOW_S
    intake.client.delete(window)
    assert statuses(own.persist_all(flood[5:])) == ["stored"] * 3
    assert query("SELECT count(*) FROM batches WHERE status = 'stored'") == [(12,)]


def test_a_running_collector_is_flooded_and_the_other_edge_is_in_time(
    start_collector: Callable[..., object], settings: Settings, redis_client: redis.Redis, query: Query
) -> None:
    def stored(edge: str) -> int:
        rows = query("SELECT s.edge, count(*) FROM batches JOIN sources s ON s.id = source_id GROUP BY 1")
        return sum(int(number) for name, number in rows if name == edge)

    send = publisher(make_app(replace(settings, role="edge")), settings)
    start_collector(TELEMETRY_EDGE_MESSAGES_PER_S="5")
    send(messages("quiet/node", 1))
    eventually(lambda: stored("quiet/node") == 1, 30)
    send(messages("loud/node", 2000))
    for number in range(1, 6):
        began_s = time.monotonic()
        send(messages("quiet/node", 1, number))
        eventually(lambda number=number: stored("quiet/node") == number + 1, 30)  # type: ignore[misc]
        assert time.monotonic() - began_s < 15
    # A few windows may have passed on a slow machine, and processes that look at once may each pass a group.
    assert 50 <= stored("loud/node") < 1500
    eventually(lambda: redis_client.llen(settings.ingest_queue) == 0, 30)


def test_bytes_and_rows_are_bounded_too_and_one_large_message_passes(intake: Intake) -> None:
    (message,) = messages("loud/node", 1)
    size_bytes = len(message[1])
    for limits in (Amount(rows=1), Amount(bytes=size_bytes - 1), Amount(rows=ROWS), Amount(bytes=size_bytes)):
        judged = bounded(intake.client, intake.keys, limits).judge([message, message])
        assert [bool(refusal) for refusal in judged.refusals] == [False, True]
        assert judged.admitted == {"loud/node": Amount(1, size_bytes, ROWS)}


def test_what_is_not_believed_or_waits_for_a_newer_collector_counts_for_nobody(intake: Intake) -> None:
    judged = intake.judge([None, ({"edge": "loud/node", "version": 99}, b"")])
    assert (judged.refusals, judged.admitted) == ([None] * 2, {})
    assert not intake.client.keys(intake.keys.intake("*"))


def test_messages_that_name_no_edge_have_a_bound_together(
    settings: Settings, engine: Engine, intake: Intake, query: Query
) -> None:
    own = collector(settings, engine, intake)
    broken: list[Message] = [
        ({"edge": "loud/node"}, b"junk"),
        ("nonsense", 7),
        (None, b"bytes"),
        *(({}, f"text {n}") for n in range(5)),
    ]
    outcomes = own.persist_all([*broken, *messages("quiet/node", 1)])
    assert statuses(outcomes) == [*["dead"] * 5, *["refused"] * 3, "stored"]
    assert statuses(own.persist_all(broken)) == ["refused"] * 8
    assert query("SELECT count(*) FROM dead_letters") == [(5,)]
    rows = bounded(intake.client, intake.keys, Amount(rows=2))
    intake.client.delete(intake.keys.intake(NAMELESS))
    assert [bool(refusal) for refusal in rows.judge(broken[:3]).refusals] == [False, False, True]


def test_a_failure_counts_nothing(settings: Settings, engine: Engine, intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    own = collector(settings, engine, intake)

    def away(_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(own, "_store", away)
        for _ in range(10):
            with pytest.raises(ConnectionError):
                own.persist_all(messages("loud/node", 1))
    assert statuses(own.persist_all(messages("loud/node", 5))) == ["stored"] * 5


def beyond() -> float:
    counter = definitions.of(definitions.CollectorCounters).beyond
    samples = [sample for metric in counter.collect() for sample in metric.samples]
    return sum(float(sample.value) for sample in samples if sample.name.endswith("_total"))
