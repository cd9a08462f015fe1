"""A real Prometheus with the real alerts watches a running pipeline while the way to its broker is broken and mended."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from telemetry.settings import Settings
from tests.faults.proxy import Proxy
from tests.fixtures.prometheus import Prometheus
from tests.ports import free_port
from tests.rules import quickened
from tests.waiting import eventually

Start = Callable[..., subprocess.Popen[bytes]]
DELAY_S = 0.3
# 5 minutes become 2.5 seconds, 2 minutes become one.
FACTOR = 120


@dataclass(frozen=True)
class Ways:
    """The networks between the broker and the two sites."""

    edge: Proxy
    centre: Proxy
    number: str

    def told(self, proxy: Proxy) -> dict[str, str]:
        """What a site is told that reaches the broker over one of them."""
        return {"TELEMETRY_BROKER_URL": f"redis://127.0.0.1:{proxy.port}/{self.number}"}

    def refuse(self) -> None:
        """Cut both."""
        self.edge.refuse()
        self.centre.refuse()

    def heal(self) -> None:
        """Mend both."""
        self.edge.heal()
        self.centre.heal()


@pytest.fixture
def ways(settings: Settings) -> Iterator[Ways]:
    """The networks."""
    parts = urlsplit(settings.broker_url)
    if parts.scheme != "redis+socket":
        pytest.skip("the broker of the environment is behind a network already")
    with Proxy(lambda: Path(parts.path)) as edge, Proxy(lambda: Path(parts.path)) as centre:
        yield Ways(edge, centre, parse_qs(parts.query)["virtual_host"][0])


@pytest.fixture
def sample(tmp_path: Path, telemetry: Callable[..., subprocess.CompletedProcess[str]]) -> Path:
    path = tmp_path / "sample.csv"
    made = telemetry("simulate", "--hosts", "1", "--gpus", "2", "--interval", "1", "--duration", "600", "-o", path)
    assert made.returncode == 0, made.stderr
    return path


@pytest.fixture
def watched(
    start: Start, start_collector: Start, prometheus: Callable[..., Prometheus], sample: Path, tmp_path: Path, ways: Ways
) -> Prometheus:
    """A pipeline that flows, and Prometheus."""
    ports = {name: free_port() for name in ("beat", "streamer", "collector", "exporter")}
    told = {
        "TELEMETRY_ROLE": "edge",
        "TELEMETRY_SOURCES": str(sample),
        "TELEMETRY_STREAM_INTERVAL_S": "0.5",
        "TELEMETRY_LOOP_MODE": "true",
        "TELEMETRY_BATCH_SIZE": "5",
        **ways.told(ways.edge),
    }
    start_collector(**ways.told(ways.centre), TELEMETRY_METRICS_PORT=str(ports["collector"]))
    start("celery", "-A", "telemetry", "beat", **told, TELEMETRY_METRICS_PORT=str(ports["beat"]))
    worker = ("celery", "-A", "telemetry", "worker", "--without-gossip", "--without-mingle")
    start(*worker, **told, TELEMETRY_METRICS_PORT=str(ports["streamer"]))
    start(
        "telemetry", "exporter", "--port", str(ports["exporter"]), **ways.told(ways.centre), TELEMETRY_EXPORTER_INTERVAL_S="0.5"
    )
    server = prometheus(ports, quickened(tmp_path / "rules.json", FACTOR))
    eventually(lambda: server.query("cross_cluster_latency_seconds"), 40, every_s=0.2, what="batches flow")
    eventually(lambda: all(each["value"][1] == "1" for each in server.query("up")), 20, every_s=0.2)
    return server


def fires(server: Prometheus, alert: str, timeout_s: float) -> None:
    eventually(lambda: alert in server.alerts(), timeout_s, every_s=0.2, what=f"{alert} fires")


def clears(server: Prometheus, alert: str, timeout_s: float) -> None:
    eventually(lambda: alert not in server.alerts(), timeout_s, every_s=0.2, what=f"{alert} clears")


@pytest.mark.timeout(240)
def test_a_broker_that_is_far_away_and_one_that_is_cut_off(watched: Prometheus, ways: Ways) -> None:
    assert watched.alerts() == set()
    ways.centre.slow(DELAY_S)
    fires(watched, "CrossClusterHighLatency", 90)
    (slow,) = eventually(lambda: watched.query(f"cross_cluster_latency_seconds > {DELAY_S}"), 60, every_s=0.2)
    assert (slow["metric"]["source_cluster"], slow["metric"]["target_cluster"]) == ("test", "central")
    ways.heal()
    clears(watched, "CrossClusterHighLatency", 90)

    ways.refuse()
    fires(watched, "RedisConnectionLost", 30)

    def lost() -> set[str]:
        return {each["metric"]["component"] for each in watched.query("message_queue_connection_status == 0")}

    eventually(lambda: lost() == {"streamer", "beat", "collector", "exporter"}, 20, every_s=0.2)
    ways.heal()
    clears(watched, "RedisConnectionLost", 30)
    eventually(lambda: watched.query("increase(telemetry_batches_settled_total[5s]) > 0"), 60, every_s=0.5, what="flow")
    assert not [each for each in watched.query("up") if each["value"][1] != "1"]
