"""Two clusters on one machine: the rendered pods' processes in two network namespaces, and a Redis with TLS far from the edge.

    sudo .venv/bin/python -m tests.chart.two_clusters --cut 300

Needs root and `ip`. Streamer and beat run in one namespace, the collector in the other, with the commands, variables and
mounts of the chart. The edge is 80 ms and 1 % loss away from the Redis. After a minute the link is cut for a while. Ends
with 1 unless all readings are stored, status, doctor and the trial of `telemetry deploy validate` have told what was so, and
nothing is left of the trials.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from telemetry.local.servers import Postgres
from tests.chart import tls
from tests.chart.cases import CENTRE, EDGE, PASSWORD
from tests.chart.far import FarLink
from tests.chart.place import Place
from tests.chart.rendering import Object, merged, pod_of, render, values_of
from tests.fixtures.processes import end
from tests.launching import BIN
from tests.waiting import eventually

# Namespace of a cluster -> its address, and that of the machine beside it.
CLUSTERS = {"telemetry-edge": ("10.77.1.2", "10.77.1.1"), "telemetry-centre": ("10.77.2.2", "10.77.2.1")}
HOST, PORT = "localhost", 6380
ROUND_TRIP_S, LOSS = 0.08, 0.01
GPUS, INTERVAL_S, STEADY_S = 8, 1, 60
# A last line may be half written.
TORN_BYTES = 4096


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextmanager
def namespace(name: str) -> Iterator[None]:
    """A network namespace with a cable to the machine, in which the name of the Redis leads to the machine's end."""
    address, beside = CLUSTERS[name]
    cable = name.removeprefix("telemetry-")
    hosts = Path("/etc/netns", name, "hosts")
    hosts.parent.mkdir(parents=True, exist_ok=True)
    hosts.write_text(f"{beside} {HOST}\n")
    ip("netns", "add", name)
    try:
        ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("address", "add", f"{beside}/24", "dev", cable)
        ip("link", "set", cable, "up")
        for words in (
            ("address", "add", f"{address}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("link", "set", "lo", "up"),
        ):
            ip("-netns", name, *words)
        yield
    finally:
        ip("netns", "delete", name)
        hosts.unlink()
        hosts.parent.rmdir()


class Cluster:
    """What runs in a namespace: containers of the chart, and commands with their environment."""

    def __init__(self, name: str, directory: Path, objects: list[Object]) -> None:
        self.name, self.directory, self.objects = name, directory, objects
        self.environ: dict[str, str] = {}
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, component: str, environ: dict[str, str]) -> Place:
        """Start all containers of a component; where the first of them has its files."""
        pod = pod_of(self.objects, component)
        secrets = {
            each["metadata"]["name"]: {key: base64.b64decode(value).decode() for key, value in each["data"].items()}
            for each in self.objects
            if each["kind"] == "Secret"
        }
        places = [Place(self.directory / component, container, 0) for container in pod["spec"]["containers"]]
        for number, place in enumerate(places):
            place.mount(pod, secrets | {"broker": {"redis-password": tls.PASSWORD}})
            told = place.variables() | {"TELEMETRY_METRICS_PORT": "0"} | environ
            told.pop("TELEMETRY_DATABASE_PASSWORD_FILE", None)
            self.environ = self.environ or told
            with (self.directory / f"{component}-{number}.log").open("wb") as log:
                self.running.append(
                    subprocess.Popen(self._inside(place.command()), env=self._whole(told), stdout=log, stderr=log)
                )
        return places[0]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ours in the cluster."""
        return subprocess.run(
            self._inside(["telemetry", *words]), env=self._whole(self.environ), capture_output=True, text=True, check=False
        )

    def stop(self) -> None:
        for process in self.running:
            end(process)

    def _inside(self, command: list[str]) -> list[str]:
        return ["ip", "netns", "exec", self.name, str(BIN / command[0]), *command[1:]]

    def _whole(self, told: Mapping[str, str]) -> dict[str, str]:
        return {**os.environ, **told, "TELEMETRY_DATA_DIR": str(self.directory)}


def rendered(file: str, ca: str, **more: Any) -> list[Object]:
    redis: dict[str, Any] = {"host": HOST, "port": PORT, "username": tls.USER, "tls": {"caCert": ca}}
    redis["auth"] = {"enabled": True, "existingSecret": "broker"}
    return render(merged(merged(values_of(file), PASSWORD), {"externalRedis": redis, **more}))


def status(centre: Cluster) -> dict[str, Any]:
    """What the centre knows. A machine with much other work may be too slow for the broker's time limits at the first try."""

    def known() -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(centre.run("status", "--json").stdout)
        return answer if answer["edges"] is not None else {}

    return eventually(known, 120, every_s=2, what="status knows the edges")


def trial(edge: Cluster, centre: Cluster, link: FarLink, file: Path, cut_s: float) -> list[str]:
    """Steady, cut, healed; what was not told as it was."""
    begun_s = time.monotonic()

    def tell(what: str) -> None:
        click.echo(f"{time.monotonic() - begun_s:6.1f} s  {what}")

    eventually(lambda: status(centre)["sources"], 60, every_s=1, what="the file is known")
    time.sleep(STEADY_S)
    doctor, steady, tried = edge.run("doctor"), status(centre), edge.run("trial")
    tell(
        f"steady: doctor at the edge ends with {doctor.returncode}; {json.dumps(steady['edges'])}; {json.dumps(steady['flow'])}"
    )
    tell(f"trial: {tried.stdout.strip() or tried.stderr.strip()}")
    if doctor.returncode:
        click.echo(doctor.stdout)
    link.cut()
    time.sleep(cut_s)
    cut_doctor, cut, cut_trial = edge.run("doctor"), status(centre), edge.run("trial")
    tell(f"cut for {cut_s:g} s: doctor at the edge ends with {cut_doctor.returncode}; {json.dumps(cut['edges'])}")
    tell(f"trial: {cut_trial.stdout.strip() or cut_trial.stderr.strip()}")
    click.echo(cut_doctor.stdout)
    link.heal()
    healed_s, size_bytes = time.monotonic(), file.stat().st_size
    eventually(
        lambda: status(centre)["sources"][0]["committed"] >= size_bytes - TORN_BYTES, 300, every_s=0.5, what="catching up"
    )
    tell(f"all that was written by the end of the cut was stored {time.monotonic() - healed_s:.1f} s later")
    forgotten = centre.run("trial", "--forget")
    tell(f"trial at the centre: {forgotten.stdout.strip() or forgotten.stderr.strip()}")
    told = {
        "doctor ends with 0 while the link is well": doctor.returncode == 0,
        "the edge is not silent while the link is well": steady["edges"][0]["silent_s"] == 0,
        "doctor does not end with 0 while the link is cut": cut_doctor.returncode != 0,
        "the edge is silent while the link is cut": cut["edges"][0]["silent_s"] > cut_s / 2,
        "a trial is committed while the link is well": tried.returncode == 0,
        "no trial is committed while the link is cut": cut_trial.returncode != 0,
        "the centre removes the trial": forgotten.stdout == "removed 1 marked batch\n",
    }
    return [what for what, is_so in told.items() if not is_so]


def main() -> int:
    """Build it, try it, take it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cut", type=float, default=300, metavar="SECONDS", help="how long the link is cut")
    cut_s = parser.parse_args().cut
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="telemetry-clusters-")))
        directory.chmod(0o755)
        for name in CLUSTERS:
            stack.enter_context(namespace(name))
        postgres = stack.enter_context(Postgres(directory / "postgres"))
        port, ca = stack.enter_context(tls.broker(directory))
        links = [
            FarLink((CLUSTERS[name][1], PORT), ("localhost", port), round_trip_s=far, loss=loss)
            for name, far, loss in (("telemetry-edge", ROUND_TRIP_S, LOSS), ("telemetry-centre", 0.0, 0.0))
        ]
        for link in links:
            stack.enter_context(link)
        edge = Cluster("telemetry-edge", directory / "edge", rendered(EDGE, ca, clusterName="west"))
        centre = Cluster("telemetry-centre", directory / "centre", rendered(CENTRE, ca))
        database = {"TELEMETRY_DATABASE_URL": postgres.url}
        for cluster in (edge, centre):
            cluster.directory.mkdir()
            stack.callback(cluster.stop)
        subprocess.run([str(BIN / "telemetry"), "db", "upgrade"], env=os.environ | database, check=True)
        centre.start("collector", database)
        place = edge.start("streamer", {})
        file = Path(place.moved["/data"], "gpus.csv")
        words = ["simulate", "--hosts", "1", "--gpus", str(GPUS), "--interval", str(INTERVAL_S), "--duration", "0", "--follow"]
        writer = subprocess.Popen(
            [str(BIN / "telemetry"), *words, "-o", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        stack.callback(end, writer)
        untrue = trial(edge, centre, links[0], file, cut_s)
        end(writer)
        eventually(lambda: centre.run("verify", str(file)).returncode == 0, 60, every_s=2, what="an exact comparison")
        click.echo(centre.run("verify", str(file)).stdout)
    for what in untrue:
        click.echo(f"NOT SO: {what}")
    return 1 if untrue else 0


if __name__ == "__main__":
    sys.exit(main())
