"""Containers run what the chart says: command, environment and mounts, as processes on real servers, until their probes pass.

Paths of the mounts are moved below the test's directory, and the addresses of the servers are the test's own; all else is
as rendered. The embedded servers have no password, so the files of passwords are tried in the unit tests of the settings.
"""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from telemetry.settings import Settings
from tests.chart.cases import PASSWORD
from tests.chart.rendering import Object, pod_of, render
from tests.fixtures.processes import Start
from tests.ports import free_port
from tests.waiting import eventually

COMPONENTS = {
    "streamer": "streamer",
    "beat": "streamer",
    "collector": "collector",
    "api": "api",
    "flower": "flower",
    "exporter": "exporter",
}
# The address of a container's server, which a test on one machine has to move.
PORTS = {"api": 8080, "flower": 5555, "exporter": 9100}


class Place:
    """Where a container's paths lie in this test."""

    def __init__(self, root: Path, container: Object, port: int) -> None:
        self.container, self.port = container, port
        self.moved = {each["mountPath"]: f"{root}{each['mountPath']}" for each in container["volumeMounts"]}
        for path in self.moved.values():
            Path(path).mkdir(parents=True, exist_ok=True)

    def text(self, value: str) -> str:
        """A value with its mounts, and the port of its server, moved."""
        for old in sorted(self.moved, key=len, reverse=True):
            if value.startswith(f"{old}/") or value == old:
                return self.moved[old] + value[len(old) :]
        ours = PORTS.get(self.container["name"])
        return value.replace(str(ours), str(self.port)) if ours else value

    def variables(self) -> dict[str, str]:
        """The environment as Kubernetes would give it."""
        given: dict[str, str] = {}
        for each in self.container["env"]:
            value = each.get("value", "node-1" if "fieldRef" in each.get("valueFrom", {}) else "")
            for name, known in given.items():
                value = value.replace(f"$({name})", known)
            given[each["name"]] = self.text(value)
        return given

    def passes(self, probe: dict[str, Any]) -> bool:
        """Whether a probe of the container passes now."""
        if "exec" in probe:
            command = [self.text(each) for each in probe["exec"]["command"]]
            return subprocess.run(command, check=False, capture_output=True, timeout=10).returncode == 0
        if "tcpSocket" in probe:
            return True
        url = f"http://127.0.0.1:{self.port}{probe['httpGet']['path']}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_container_starts_and_its_probes_pass(name: str, start: Start, environ: dict[str, str], tmp_path: Path) -> None:
    spec = pod_of(render(PASSWORD), COMPONENTS[name])["spec"]
    (container,) = [each for each in spec["containers"] if each["name"] == name]
    place = Place(tmp_path, container, free_port())
    told = place.variables()
    if name not in PORTS and "heartbeat_file" not in {item.name for item in fields(Settings)}:
        pytest.skip("no process touches a heartbeat file yet")
    for ours in ("TELEMETRY_BROKER_URL", "TELEMETRY_DATABASE_URL", "TELEMETRY_KEY_PREFIX"):
        told[ours] = environ[ours]
    told.pop("TELEMETRY_DATABASE_PASSWORD_FILE", None)
    if "TELEMETRY_METRICS_PORT" in told:
        told["TELEMETRY_METRICS_PORT"] = str(place.port if name == "exporter" else free_port())
    process = start(*map(place.text, container["command"]), **told)

    def well() -> bool:
        assert process.poll() is None, "it ended"
        return all(place.passes(container[probe]) for probe in ("startupProbe", "livenessProbe", "readinessProbe"))

    eventually(well, 45, every_s=0.5, what=f"{name} is well")
    process.terminate()
    assert process.wait(spec["terminationGracePeriodSeconds"]) == 0


def test_the_migration_job_and_the_wait_for_it(empty_database_url: str, environ: dict[str, str], tmp_path: Path) -> None:
    objects = render(PASSWORD)
    (job,) = pod_of(objects, "migrations")["spec"]["containers"]
    (wait,) = pod_of(objects, "collector")["spec"]["initContainers"]
    bin_ = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    surroundings = os.environ | environ | {"TELEMETRY_DATABASE_URL": empty_database_url, "PATH": bin_}
    with subprocess.Popen(wait["command"], env=surroundings, stdout=subprocess.PIPE, cwd=tmp_path) as waiting:
        subprocess.run(job["command"], env=surroundings, check=True, timeout=60, cwd=tmp_path)
        assert waiting.wait(60) == 0
