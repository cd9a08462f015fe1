"""The Redis of a release with sentinels: three servers and three sentinels by the chart's scripts; one server is killed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import helm_python
import pytest
import redis

from telemetry import broker
from telemetry.local.servers.valkey import program
from telemetry.settings import Settings
from tests.chart.cases import CENTRE, PASSWORD
from tests.chart.redis_pod import programs, started
from tests.chart.rendering import merged, named, pod_of, render, values_of, variables
from tests.ports import free_port
from tests.waiting import eventually

WORD = 'w"or\\d'
SENTINEL = {"redis": {"existingSecret": "broker", "sentinel": {"enabled": True, "downAfterMs": 1000}}}
ADDRESSES = ("127.77.0.1", "127.77.0.2", "127.77.0.3")


class Three:
    """The three pods, each at an address of loopback."""

    def __init__(self, root: Path) -> None:
        self.root, self.stack = root, ExitStack()
        self.port, self.sentinel_port = free_port(), free_port()
        objects = render(merged(PASSWORD, SENTINEL))
        self.containers = {each["name"]: each for each in pod_of(objects, "redis")["spec"]["containers"]}
        self.nodes = named(objects, "StatefulSet", "-redis-nodes")
        programs(root / "bin", program())
        self.servers: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, number: int, container: str, says: str) -> None:
        """Start a container of a pod."""
        address, folder = ADDRESSES[number], self.root / str(number)
        for below in ("run/redis", "data", "tmp"):
            (folder / below).mkdir(parents=True, exist_ok=True)
        (folder / "run/redis/password").write_text(WORD)
        name = self.nodes["spec"]["serviceName"]
        service = f"{name}.gpu.svc"
        moved = {f"$HOSTNAME.{service}": address, f"*.{service}": "127.77.0.*"}
        moved |= {f"{name}-{each}.{service}": ADDRESSES[each] for each in range(3)}
        moved |= {f"{name}-$number.{service}": "127.77.0.$((number + 1))"}
        moved |= {"/run/secrets": f"{folder}/run", "/tmp/": f"{folder}/tmp/", "dir /data": f"dir {folder}/data"}  # noqa: S108
        moved |= {"bind * -::*": f"bind {address}" + (f"\\nport {self.port}" if container == "redis" else "")}
        moved |= {"26379": str(self.sentinel_port), "6379": str(self.port)}
        log = folder / f"{container}.log"
        command = self.containers[container]["command"]
        self.servers[f"{container} {address}"] = self.stack.enter_context(started(command, moved, self.root, log, says))

    def primary(self) -> str:
        """Which server the first sentinels name that answer."""
        for address in ADDRESSES:
            try:
                with redis.Redis(address, self.sentinel_port, socket_timeout=1) as client:
                    found = client.sentinel_get_master_addr_by_name("mymaster")
                    return str(found[0].decode() if isinstance(found[0], bytes) else found[0])
            except redis.RedisError:
                continue
        return ""


@contextmanager
def three(root: Path) -> Iterator[Three]:
    """Three pods that know each other."""
    made = Three(root)
    with made.stack:
        for number in range(3):
            made.start(number, "redis", "erver initialized")
        for number in range(3):
            made.start(number, "sentinel", "+monitor")
        yield made


def others(pods: Three) -> tuple[int, int]:
    """How many replicas and how many other sentinels the first sentinel knows."""
    with redis.Redis(ADDRESSES[0], pods.sentinel_port, decode_responses=True, socket_timeout=2) as client:
        state: Any = client.sentinel_master("mymaster")
        return int(state["num-slaves"]), int(state["num-other-sentinels"])


@pytest.mark.slow
def test_another_server_becomes_the_primary_and_the_pod_comes_back_as_its_replica(tmp_path: Path) -> None:
    with three(tmp_path) as pods:
        eventually(lambda: others(pods) == (2, 2), 30, what="all know each other")
        assert pods.primary() == ADDRESSES[0]
        hosts = ",".join(f"{address}:{pods.sentinel_port}" for address in ADDRESSES)
        url = variables(pod_of(render(merged(PASSWORD, SENTINEL)), "collector")["spec"]["containers"][0])[
            "TELEMETRY_BROKER_URL"
        ]
        url = url.replace("t-telemetry-pipeline-redis:26379", hosts)
        settings = Settings.load({"TELEMETRY_BROKER_URL": url, "TELEMETRY_BROKER_PASSWORD": WORD})
        client = broker.connect(settings)
        assert client.set("telemetry.proof", "kept")
        assert client.wait(2, 5000) == 2
        os.killpg(pods.servers[f"redis {ADDRESSES[0]}"].pid, signal.SIGKILL)
        eventually(lambda: pods.primary() not in {"", ADDRESSES[0]}, 30, what="another is the primary")
        eventually(lambda: _got(client) == b"kept", 30, what="clients follow")
        pods.start(0, "redis", "erver initialized")
        with redis.Redis(ADDRESSES[0], pods.port, password=WORD) as back:
            eventually(lambda: back.info("replication").get("master_link_status") == "up", 30, what="it follows")


def _got(client: redis.Redis) -> Any:
    try:
        return client.get("telemetry.proof")
    except redis.RedisError:
        return None


def test_releases_without_a_redis_ask_the_same_sentinels() -> None:
    edge = render(merged(merged({"collector": {"enabled": False}}, SENTINEL), {"redis": {"username": "telemetry.edge.west"}}))
    told = variables(pod_of(edge, "streamer")["spec"]["containers"][0])
    assert told["TELEMETRY_BROKER_URL"] == "sentinel://telemetry.edge.west@telemetry-redis:26379/mymaster/0"
    centre = render(merged(PASSWORD, SENTINEL))
    service = next(each for each in centre if each["kind"] == "Service" and each["metadata"]["name"] == "telemetry-redis")
    assert [each["port"] for each in service["spec"]["ports"]] == [26379]
    policy = named(edge, "NetworkPolicy", "-streamer")
    assert [{"port": 6379}, {"port": 26379}] in [rule["ports"] for rule in policy["spec"]["egress"]]


@pytest.mark.parametrize("more", [{"tls": {"existingSecret": "tls"}}, {"service": {"type": "LoadBalancer"}}])
def test_other_clusters_cannot_reach_it(more: dict[str, Any]) -> None:
    with pytest.raises(helm_python.HelmError, match="other clusters cannot reach single pods"):
        render(merged(merged(values_of(CENTRE), PASSWORD), merged(SENTINEL, {"redis": more})))
