"""Notes of unacknowledged messages are written late, and nothing is lost by that but what a killed worker holds."""

from __future__ import annotations

import base64
import dataclasses
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import redis
from kombu import Connection, Consumer, Queue
from kombu.asynchronous import Hub

from telemetry.celery import make_app
from telemetry.fetched import KEPT_BYTES, deliveries
from telemetry.progress.keys import Keys
from telemetry.readings.names import PERSIST
from telemetry.readings.wire import WireError, decode
from telemetry.settings import Settings
from tests.faults.poisons import call
from tests.faults.proxy import Proxy
from tests.waiting import eventually

QUEUE = "letters"


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection]:
    with make_app(settings).connection_for_read() as made:
        yield made


@pytest.fixture
def channel(connection: Connection) -> Any:
    return connection.default_channel


@pytest.fixture
def fetched(connection: Connection, channel: Any) -> list[Any]:
    """Three messages, fetched."""
    return fetch(connection, channel)


def fetch(connection: Connection, channel: Any) -> list[Any]:
    """Publish three messages and fetch them."""
    producer = connection.Producer(serializer="json")
    for n in range(3):
        producer.publish({"n": n}, routing_key=QUEUE, exchange="")
    messages: list[Any] = []
    channel.qos.room = lambda: 10
    with Consumer(channel, [Queue(QUEUE, channel=channel)], on_message=messages.append, accept=["json"]):
        connection.drain_events(timeout=2)
    return messages


def loop_of(connection: Connection, channel: Any) -> Hub:
    hub = Hub()
    channel.connection.register_with_event_loop(connection.connection, hub)
    return hub


def noted(client: redis.Redis, settings: Settings) -> int:
    keys = Keys(settings.key_prefix).unacked_options("central")
    by_hash, by_time = client.hlen(keys["unacked_key"]), client.zcard(keys["unacked_index_key"])
    assert by_hash == by_time
    return int(by_hash)


def test_many_messages_come_in_one_answer_in_order(fetched: list[Any]) -> None:
    assert [message.decode()["n"] for message in fetched] == [0, 1, 2]


def test_a_message_is_noted_once_it_has_been_held_and_forgotten_once_it_is_acknowledged(
    fetched: list[Any], channel: Any, redis_client: redis.Redis, settings: Settings
) -> None:
    channel.qos.write(60.0)
    assert noted(redis_client, settings) == 0
    fetched[0].ack()
    channel.qos.write(0.0)
    assert noted(redis_client, settings) == 2
    fetched[1].ack()
    assert noted(redis_client, settings) == 2
    channel.qos.write(0.0)
    assert noted(redis_client, settings) == 1


def test_a_loop_writes_notes_and_is_woken_for_them_only_while_there_are_any(
    connection: Connection, channel: Any, request: pytest.FixtureRequest, redis_client: redis.Redis, settings: Settings
) -> None:
    transport: Any = channel.connection
    hub = loop_of(connection, channel)

    def loop_notes(count: int) -> bool:
        hub.fire_timers(max_timers=100)
        return noted(redis_client, settings) == count

    messages = request.getfixturevalue("fetched")
    eventually(lambda: loop_notes(3), 10)
    for message in messages:
        message.ack()
    eventually(lambda: loop_notes(0), 10)
    assert not transport.is_armed
    hub.close()


def scores(client: redis.Redis, index: str) -> dict[str, float]:
    noted: list[Any] = client.zrange(index, 0, -1, withscores=True)
    return {tag.decode(): score for tag, score in noted}


def test_a_worker_that_lives_renews_its_notes_and_none_that_another_has_given_back(
    connection: Connection, fetched: list[Any], channel: Any, redis_client: redis.Redis, settings: Settings
) -> None:
    index = Keys(settings.key_prefix).unacked_options("central")["unacked_index_key"]
    hub = loop_of(connection, channel)
    channel.qos.write(0.0)
    long_ago = {message.delivery_tag: 5.0 for message in fetched}
    redis_client.zadd(index, long_ago)
    channel.qos.write()
    assert scores(redis_client, index) == {message.delivery_tag: 5.0 for message in fetched}
    redis_client.zrem(index, fetched[0].delivery_tag)
    channel.qos._renewed_s -= settings.visibility_timeout_s / 4
    channel.qos.write()
    renewed = scores(redis_client, index)
    assert set(renewed) == {message.delivery_tag for message in fetched[1:]}
    assert min(renewed.values()) > time.time() - 60
    assert channel.qos.behind
    for message in fetched:
        message.ack()
    channel.qos.write()
    assert not channel.qos.behind
    hub.close()


def test_a_message_counts_how_often_it_was_given_back(connection: Connection, fetched: list[Any], channel: Any) -> None:
    for before in range(3):
        assert deliveries(fetched[0].headers) == before
        for message in fetched:
            message.reject(requeue=True)
        fetched.clear()
        with Consumer(channel, [Queue(QUEUE, channel=channel)], on_message=fetched.append):
            while len(fetched) < 3:
                connection.drain_events(timeout=2)


@pytest.mark.parametrize(
    ("headers", "count"),
    [
        ({}, 0),
        ({"redelivered": True}, 1),
        ({"deliveries": 2, "redelivered": True}, 2),
        ({"deliveries": "x"}, 0),
        ({"deliveries": -1}, 0),
    ],
)
def test_the_count_of_a_worker_of_before_and_of_a_stranger(headers: dict[str, Any], count: int) -> None:
    assert deliveries(headers) == count


def test_only_a_worker_gives_back_what_others_left(
    connection: Connection, fetched: list[Any], channel: Any, redis_client: redis.Redis, settings: Settings
) -> None:
    options = Keys(settings.key_prefix).unacked_options("central")
    channel.qos.write(0.0)
    redis_client.zadd(options["unacked_index_key"], {message.delivery_tag: 5.0 for message in fetched})
    channel.qos.restore_visible()
    assert redis_client.llen(QUEUE) == 0
    hub = loop_of(connection, channel)
    channel.qos.restore_visible(interval=1)
    assert redis_client.llen(QUEUE) == 3
    hub.close()


def test_a_message_given_back_is_on_the_queue_again_though_it_was_never_noted(
    fetched: list[Any], redis_client: redis.Redis, settings: Settings
) -> None:
    fetched[0].reject(requeue=True)
    assert redis_client.llen(QUEUE) == 1
    assert noted(redis_client, settings) == 2


def test_at_a_shutdown_all_that_is_held_goes_back(
    fetched: list[Any], channel: Any, redis_client: redis.Redis, settings: Settings
) -> None:
    channel.qos.write(0.0)
    fetched[2].ack()
    channel.qos.restore_unacked()
    assert redis_client.llen(QUEUE) == 2
    assert noted(redis_client, settings) == 0


STRAYS = [b"1", b'"text"', b"null", b"[]", b"{}", b"\xff{", b'{"__type__": "uuid", "__value__": 5}', b"[" * 100_000]


@pytest.mark.parametrize("many", [True, False])
def test_what_is_no_message_is_given_to_the_task_that_keeps_it(
    connection: Connection, channel: Any, redis_client: redis.Redis, many: bool
) -> None:
    channel._many = many
    good = json.loads(call())
    bent = [
        {**good, "properties": None},
        {**good, "headers": 5},
        {**good, "headers": {"task": []}},
        {**good, "body": 7},
        {**good, "content-type": []},
        {**good, "properties": {**good["properties"], "delivery_tag": {}}},
        {**good, "properties": {**good["properties"], "delivery_info": {}}},
        {**good, "properties": {**good["properties"], "body_encoding": "rot13"}},
    ]
    pushed = [*STRAYS, *(json.dumps(each).encode() for each in bent)]
    redis_client.lpush(QUEUE, *pushed, json.dumps(good))
    found: list[Any] = []
    channel.qos.room = lambda: 100
    with Consumer(channel, [Queue(QUEUE, channel=channel)], on_message=found.append):
        while len(found) <= len(pushed):
            connection.drain_events(timeout=2)
    assert [each.body for each in found[:-1]] == pushed
    assert {each.headers["task"] for each in found} == {PERSIST}
    found[0].reject(requeue=True)
    channel.qos.restore_unacked()
    assert (redis_client.llen(QUEUE), redis_client.llen("telemetry.ingest")) == (len(pushed) + 1, 0)


@pytest.mark.parametrize(("exchange", "priority"), [("", 0), ("elsewhere", 0), ("", 6)])
def test_a_message_goes_back_to_where_it_came_from_and_not_where_its_sender_says(
    connection: Connection, channel: Any, redis_client: redis.Redis, settings: Settings, exchange: str, priority: int
) -> None:
    forged = json.loads(call(queue="tick.of.another"))
    forged["properties"]["priority"] = priority
    forged["properties"]["delivery_info"]["exchange"] = exchange
    found: list[Any] = []
    with Consumer(channel, [Queue(QUEUE, channel=channel)], on_message=found.append):
        for n, give_back in enumerate((lambda: found[-1].reject(requeue=True), channel.qos.restore_unacked), 1):
            redis_client.lpush(QUEUE, json.dumps(forged))
            connection.drain_events(timeout=2)
            channel.qos.write(0.0)
            give_back()
            assert (redis_client.llen(QUEUE), len(found)) == (1, n)
            redis_client.delete(QUEUE)
    assert [name for name in redis_client.keys("*") if "_kombu" not in str(name)] == []


def on_the_queue(client: redis.Redis) -> list[int]:
    """What will be fetched, the next first."""
    return [json.loads(base64.b64decode(json.loads(each)["body"]))["n"] for each in reversed(client.lrange(QUEUE, 0, -1))]


def test_what_is_given_back_is_fetched_before_what_came_later(
    fetched: list[Any], connection: Connection, channel: Any, redis_client: redis.Redis
) -> None:
    connection.Producer(serializer="json").publish({"n": 3}, routing_key=QUEUE, exchange="")
    for message in reversed(fetched):
        message.reject(requeue=True)
    assert on_the_queue(redis_client) == [0, 1, 2, 3]


def test_at_a_shutdown_too(fetched: list[Any], connection: Connection, channel: Any, redis_client: redis.Redis) -> None:
    connection.Producer(serializer="json").publish({"n": 3}, routing_key=QUEUE, exchange="")
    channel.qos.restore_unacked()
    assert on_the_queue(redis_client) == [0, 1, 2, 3]


def test_one_can_be_put_behind_all_others(fetched: list[Any], channel: Any, redis_client: redis.Redis) -> None:
    fetched[1].reject(requeue=True)
    channel.qos.reject_to_end(fetched[0].delivery_tag)
    assert on_the_queue(redis_client) == [1, 0]


def test_a_message_that_does_not_say_whereto_spoils_no_note(
    connection: Connection, channel: Any, redis_client: redis.Redis, settings: Settings
) -> None:
    properties = {"delivery_tag": "t", "body_encoding": "base64"}
    message = {"body": "", "content-encoding": "binary", "content-type": "x", "headers": {}, "properties": properties}
    messages: list[Any] = []
    channel.qos.room = lambda: 10
    with Consumer(channel, [Queue(QUEUE, channel=channel)], on_message=messages.append, accept=["json"]):
        redis_client.lpush(QUEUE, json.dumps({**message, "properties": {**properties, "delivery_info": {}}}))
        connection.Producer(serializer="json").publish({"n": 1}, routing_key=QUEUE, exchange="")
        connection.drain_events(timeout=2)
    channel.qos.write(0.0)
    assert noted(redis_client, settings) == 2
    messages[0].reject()
    assert redis_client.llen(QUEUE) == 0


@pytest.mark.parametrize("many", [True, False])
def test_of_a_message_that_is_too_long_the_beginning_is_given_to_the_task_and_the_length(
    connection: Connection, channel: Any, redis_client: redis.Redis, many: bool
) -> None:
    channel._many = many
    channel.max_message_bytes = 100_000
    redis_client.lpush(QUEUE, b"{" + b"x" * 200_000, call())
    found: list[Any] = []
    channel.qos.room = lambda: 10
    with Consumer(channel, [Queue(QUEUE, channel=channel)], on_message=found.append, accept=["json", "msgpack"]):
        while len(found) < 2:
            connection.drain_events(timeout=2)
    (header, beginning), _, _ = found[0].decode()
    assert (header, beginning) == ({"oversized_bytes": 200_001}, b"{" + b"x" * (KEPT_BYTES - 1))
    with pytest.raises(WireError, match="the message has 200001 bytes, the limit is"):
        decode(header, beginning)
    assert found[0].headers["task"] == PERSIST


def test_a_channel_whose_broker_goes_while_it_waits_is_closed_with_its_connection(settings: Settings, way: Proxy) -> None:
    number = parse_qs(urlsplit(settings.broker_url).query)["virtual_host"][0]
    behind = dataclasses.replace(settings, broker_url=f"redis://127.0.0.1:{way.port}/{number}")
    with make_app(behind).connection_for_read() as connection:
        channel: Any = connection.default_channel
        assert len(fetch(connection, channel)) == 3
        with Consumer(channel, [Queue(QUEUE, channel=channel)], accept=["json"]):
            channel._brpop_start()
            way.refuse()
            # As Celery does once it has lost a connection: what it holds cannot be put back.
            connection.collect(socket_timeout=1)
            assert channel.closed
            connection.close()


def test_what_a_lost_connection_left_is_given_back_over_the_next_one(
    settings: Settings, way: Proxy, redis_client: redis.Redis, connection: Connection, channel: Any
) -> None:
    number = parse_qs(urlsplit(settings.broker_url).query)["virtual_host"][0]
    app = make_app(dataclasses.replace(settings, broker_url=f"redis://127.0.0.1:{way.port}/{number}"))
    with app.connection_for_read() as lost:
        lost_channel: Any = lost.default_channel
        held = fetch(lost, lost_channel)
        qos, last = lost_channel.qos, held[2].delivery_tag
        young = qos._unwritten.pop(last)
        qos.write(0.0)
        qos._unwritten[last] = young
        way.refuse()
        lost.collect(socket_timeout=1)
    assert redis_client.llen(QUEUE) == 0
    way.heal()
    with app.connection_for_read() as next_one:
        hub = loop_of(next_one, next_one.default_channel)
        eventually(lambda: (hub.fire_timers(max_timers=100), redis_client.llen(QUEUE))[1] == 3, 10)
        hub.close()
        assert noted(redis_client, settings) == 0
    channel.qos.room = lambda: 10
    again: list[Any] = []
    with Consumer(channel, [Queue(QUEUE, channel=channel)], on_message=again.append, accept=["json"]):
        connection.drain_events(timeout=2)
    assert [message.decode()["n"] for message in again] == [0, 1, 2]


def test_a_message_given_back_to_a_closed_channel_is_an_error_of_the_connection(
    fetched: list[Any], connection: Connection, channel: Any
) -> None:
    lost = connection.connection_errors
    connection.close()
    channel._disconnect_pools()
    with pytest.raises(lost):
        channel.qos.reject(fetched[0].delivery_tag, requeue=True)
