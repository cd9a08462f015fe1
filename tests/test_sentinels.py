"""Clients of a broker that sentinels watch: they find the primary, follow a failover, and say why where none is named."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from subprocess import CompletedProcess

import pytest
import redis
from kombu import Connection, Consumer, Queue

from telemetry import broker
from telemetry.api.core.connections import Connections
from telemetry.celery import make_app
from telemetry.doctor.sentinels import judge
from telemetry.sentinels import ANSWER_S, NEXT_S
from telemetry.settings import Settings, SettingsError
from telemetry.settings.sentinel_url import parse
from tests.ports import free_port
from tests.sentinels import SERVICE, Watched, watched
from tests.waiting import eventually

QUEUE = "letters"
# Of the servers, and of the sentinels: neither opens the other.
PASSWORD, OTHER = "s3cret/word@1", "0ther"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watched(tmp_path_factory.mktemp("servers"), {"appendonly": "no"}, passwords=(OTHER, PASSWORD)) as made:
        yield made


@pytest.fixture
def settings(servers: Watched) -> Settings:
    return Settings.load(variables(servers))


def variables(servers: Watched) -> dict[str, str]:
    return {
        "TELEMETRY_BROKER_URL": servers.url,
        "TELEMETRY_BROKER_PASSWORD": PASSWORD,
        "TELEMETRY_SENTINEL_PASSWORD": OTHER,
    }


def test_all_clients_follow_when_the_primary_dies(servers: Watched, settings: Settings) -> None:
    connections = Connections(settings)
    with (
        broker.connect(settings) as client,
        redis.Redis(connection_pool=connections.hasty_broker.connection_pool) as limiter,
        make_app(settings).connection_for_write() as connection,
    ):
        producer = connection.Producer()
        client.set("before", "1")
        limiter.incr("count")
        producer.publish("a", routing_key=QUEUE, exchange="", retry=True, serializer="json")
        servers.await_replica()
        former = servers.primary
        former.kill()
        servers.await_failover(former)
        former.start()
        client.set("after", "2")
        # It is in a hurry, and tries once.
        assert eventually(lambda: incremented(limiter)) == 2
        producer.publish("b", routing_key=QUEUE, exchange="", retry=True, serializer="json")
        with servers.primary.client() as primary:
            assert primary.get("after") == "2"
            assert primary.llen(QUEUE) == 2
        received: list[str] = []
        queue = Queue(QUEUE, channel=connection.default_channel)
        with Consumer(connection, [queue], on_message=lambda m: received.append(m.payload), no_ack=True, accept=["json"]):
            eventually(lambda: drained(connection, received) == ["a", "b"])
    connections.close()


def incremented(client: redis.Redis) -> int:
    try:
        return client.incr("count")
    except redis.ConnectionError:
        return 0


def drained(connection: Connection, received: list[str]) -> list[str]:
    with suppress(TimeoutError):
        connection.drain_events(timeout=1)
    return received


def test_an_idle_connection_is_left_once_another_has_found_the_new_primary(servers: Watched, settings: Settings) -> None:
    servers.await_replica()
    with broker.connect(settings) as client:
        one, other = client.connection_pool.get_connection(), client.connection_pool.get_connection()
        former = servers.primary
        assert one.place() == other.place() == former.place
        former.freeze()
        servers.await_failover(former)
        former.thaw()
        one.disconnect()
        one.connect()
        client.connection_pool.release(other)
        assert one.place() == client.connection_pool.get_connection().place() == servers.primary.place


def test_frozen_sentinels_are_not_waited_for_and_asked_last_from_then_on(
    telemetry: Callable[..., CompletedProcess[str]], servers: Watched, settings: Settings
) -> None:
    guides = broker.sentinels(settings)
    assert guides is not None
    place = servers.primary.place
    frozen = [sentinel.pid for sentinel in servers.sentinels[:2] if sentinel.pid is not None]
    assert len(frozen) == 2
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        assert guides.primary() == guides.primary() == place
        assert 2 * NEXT_S <= time.monotonic() - begun < ANSWER_S
        told = telemetry("status", **variables(servers))
        assert "broker    ok" in told.stdout, told
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"broker_url": "sentinel://127.0.0.1:{port}/other/0"}, "No such master"),
        ({"sentinel_password": "wrong"}, "WRONGPASS|invalid"),
        ({"broker_url": f"sentinel://127.0.0.1:{free_port()}/{SERVICE}/0"}, "refused"),
    ],
)
def test_what_is_wrong_is_said(servers: Watched, settings: Settings, changes: dict[str, str], says: str) -> None:
    changes = {name: value.format(port=servers.sentinels[0].place[1]) for name, value in changes.items()}
    with (
        broker.connect(replace(settings, **changes), retries=0) as client,  # type: ignore[arg-type]
        pytest.raises(redis.ConnectionError, match=f"no sentinel names a primary of .*({says})") as error,
    ):
        client.ping()
    assert PASSWORD not in str(error.value)


def test_status_and_doctor_go_through_the_sentinels(telemetry: Callable[..., CompletedProcess[str]], servers: Watched) -> None:
    servers.await_replica()
    told = telemetry("doctor", "--role", "edge", TELEMETRY_SOURCES="/nowhere/*.csv", **variables(servers))
    place = f"127.0.0.1:{servers.primary.place[1]}"
    assert f"3 of 3 name {place}" in told.stdout, told.stdout
    assert telemetry("status", **variables(servers)).returncode == 0


def test_a_user_of_the_broker_is_made_at_the_replica_too(
    telemetry: Callable[..., CompletedProcess[str]], servers: Watched
) -> None:
    servers.await_replica()
    secret = {"TELEMETRY_TRUST_SECRET": "x" * 32, **variables(servers)}
    told = telemetry("edge", "add", "rack/one", **secret)
    assert told.returncode == 0, told.stderr
    for member in servers.members:
        with member.client() as client:
            assert any("rack/one" in user for user in client.acl_users())
    told = telemetry("edge", "revoke", "rack/one", **secret)
    assert told.returncode == 0, told.stderr
    for member in servers.members:
        with member.client() as client:
            assert not any("rack/one" in user for user in client.acl_users())


def test_the_verdict_about_sentinels() -> None:
    here, there = ("10.0.0.1", 6379), ("10.0.0.2", 6379)
    assert judge({"a": here, "b": here, "c": here}, "s").says == "3 of 3 name 10.0.0.1:6379"
    assert judge({"a": here, "b": here, "c": "refused"}, "s").verdict == "warning"
    assert judge({"a": here, "b": there, "c": here}, "s").says.endswith("10.0.0.1:6379 and 10.0.0.2:6379")
    assert judge({"a": here}, "s").mend == "run three, so that two can agree"
    assert judge({"a": "refused"}, "s").verdict == "failed"


def test_the_parts_of_a_url() -> None:
    url = parse("sentinels://u:p%40@a:1,[::1]:2,c/mymaster/3")
    assert url.sentinels == (("a", 1), ("::1", 2), ("c", 26379))
    assert (url.service, url.database, url.tls, url.credentials) == ("mymaster", 3, True, "u:p%40@")
    assert url.kombu == "sentinel://u:p%40@a:1/3"
    assert url.server("::2", 6379) == "rediss://u:p%40@[::2]:6379/3"
    assert parse("sentinel://a/mymaster").database == 0


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sentinel://h1:26379;sentinel://h2:26379", "after one sentinel://, with commas"),
        ("sentinel://h1,h2/0", "names no service"),
        ("sentinel://h1,h2", "names no service"),
        ("sentinel://h1,,h2/mymaster/0", "lacks the name of a sentinel"),
        ("sentinel://h1:x/mymaster/0", "no port between 1 and 65535"),
        ("sentinel://h1/mymaster/x", "number of the database"),
        ("sentinel://h1/mymaster/0?db=1", "nothing behind it"),
        ("sentinel://:se/cret@h1/mymaster/0", "an @ too many"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_the_mend(url: str, says: str) -> None:
    with pytest.raises(SettingsError, match=f"TELEMETRY_BROKER_URL .*{says}") as error:
        Settings.load({"TELEMETRY_BROKER_URL": url})
    assert "se/cret" not in str(error.value)
