"""After a failover, all clients of the broker go to the new server, though the former one keeps their connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from kombu import Consumer, Queue

from telemetry import broker
from telemetry.celery import make_app
from telemetry.local.servers import Valkey
from telemetry.settings import Settings
from tests.faults.network import client_of, hand_over
from tests.faults.proxy import Proxy

QUEUE = "letters"


class Pair:
    """Two servers behind one address, which leads to the first of them until `fail_over`."""

    def __init__(self, servers: list[Valkey]) -> None:
        self.servers = servers
        self._proxy = Proxy(lambda: Path(urlsplit(self.servers[0].url).path))
        self.settings = Settings.load({"TELEMETRY_BROKER_URL": f"redis://127.0.0.1:{self._proxy.port}/0"})

    def fail_over(self) -> None:
        """Exchange the two. Connections of before stay where they are."""
        hand_over(*self.servers)
        self.servers.reverse()

    def close(self) -> None:
        """Take no more connections."""
        self._proxy.refuse()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with Valkey(tmp_path / "one", {"appendonly": "no"}) as one, Valkey(tmp_path / "two", {"appendonly": "no"}) as two:
        made = Pair([one, two])
        yield made
        made.close()


def command(client: redis.Redis) -> None:
    client.set("key", "value")


def script(client: redis.Redis) -> None:
    client.register_script("return redis.call('SET', 'key', 'value')")()


def pipeline(client: redis.Redis) -> None:
    with client.pipeline(transaction=False) as commands:
        commands.get("key")
        commands.set("key", "value")
        commands.execute()


def transaction(client: redis.Redis) -> None:
    with client.pipeline() as commands:
        commands.get("key")
        commands.set("key", "value")
        commands.execute()


@pytest.mark.parametrize("write", [command, script, pipeline, transaction])
def test_a_client_writes_to_the_new_server(pair: Pair, write: Callable[[redis.Redis], None]) -> None:
    with broker.connect(pair.settings) as client:
        write(client)
        pair.fail_over()
        # What is only read comes from the former server.
        assert client.get("key") == b"value"
        client.delete("key")
        pair.fail_over()
        write(client)
        with client_of(pair.servers[0]) as server:
            assert server.get("key") == "value"


def test_a_consumer_that_waits_for_a_message_is_told_that_its_connection_is_lost(pair: Pair) -> None:
    with make_app(pair.settings).connection_for_read() as connection:
        channel = connection.default_channel
        with Consumer(channel, [Queue(QUEUE, channel=channel)], on_message=print, accept=["json"]):
            with pytest.raises(TimeoutError):
                connection.drain_events(timeout=0.2)
            pair.fail_over()
            with pytest.raises(connection.connection_errors, match="replica"):
                connection.drain_events(timeout=5)
