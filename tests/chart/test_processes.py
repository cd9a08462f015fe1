"""Containers run what the chart says: command, environment and mounts, as processes on real servers, until their probes pass.

Paths of the mounts are moved below the test's directory, and the addresses of the servers are the test's own; all else is
as rendered. The embedded servers have no password, so the files of passwords are tried in the unit tests of the settings.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chart.cases import PASSWORD
from tests.chart.place import Place
from tests.chart.rendering import merged, pod_of, render
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
    "uploads": "api",
    "uploads-beat": "api",
}
VALUES = merged(PASSWORD, {"uploads": {"enabled": True}})


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_container_starts_and_its_probes_pass(name: str, start: Start, environ: dict[str, str], tmp_path: Path) -> None:
    spec = pod_of(render(VALUES), COMPONENTS[name])["spec"]
    (container,) = [each for each in spec["containers"] if each["name"] == name]
    place = Place(tmp_path, container, free_port())
    process = start(*place.command(), **place.told(environ))

    def well() -> bool:
        assert process.poll() is None, "it ended"
        return place.is_well()

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
