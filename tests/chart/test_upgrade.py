"""A release is replaced by the next one, and taken back, while rows flow: by the rendered Job, waits, commands and probes."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from telemetry import resources
from telemetry.store import migrate
from tests.chart.cases import PASSWORD
from tests.chart.place import Place
from tests.chart.rendering import pod_of, render
from tests.faults.feeder import Feeder
from tests.fixtures.processes import Start, exact
from tests.fixtures.services import Query
from tests.launching import BIN
from tests.ports import free_port
from tests.waiting import eventually

MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9999", "{head}", None, None


def upgrade():
    op.add_column("batches", sa.Column("note", sa.Text()))


def downgrade():
    op.drop_column("batches", "note")
"""


def later_version(root: Path) -> dict[str, str]:
    """The package as a later version that has one more migration: what makes a process run it."""
    for name in ("telemetry", "migrations"):
        shutil.copytree(resources.CHECKOUT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "migrations" / "versions" / "9999_later.py").write_text(MIGRATION.format(head=migrate.head()))
    return {"PYTHONPATH": str(root)}


class Pod:
    """One container of a component, started when its init container ended well, and ended within its grace."""

    def __init__(self, component: str, revision: int, root: Path, start: Start, told: Mapping[str, str]) -> None:
        spec = pod_of(render(PASSWORD, revision=revision), component)["spec"]
        self.place = Place(root, spec["containers"][0], free_port())
        self._grace_s: int = spec["terminationGracePeriodSeconds"]
        found = os.environ | {"PATH": os.pathsep.join([str(BIN), os.environ["PATH"]])}
        version = {name: told[name] for name in ("PYTHONPATH",) if name in told}
        for init in spec.get("initContainers", []):
            waits = Place(root, init, 0)
            subprocess.run(waits.command(), env=found | waits.told(told) | version, check=True, timeout=30, cwd=root)
        self._process = start(*self.place.command(), **self.place.told(told), **version)
        if "readinessProbe" in self.place.container:
            eventually(self.is_ready, 30, every_s=0.2, what=f"{component} of revision {revision} is ready")

    def is_ready(self) -> bool:
        return self.place.passes(self.place.container["readinessProbe"])

    def stop(self) -> None:
        self._process.terminate()
        assert self._process.wait(self._grace_s) == 0

    def ends(self) -> None:
        assert self._process.wait(60) == 0


@contextmanager
def always_ready(pods: Callable[[], list[Pod]]) -> Iterator[None]:
    """Ask the API all the while: each of its pods that takes queries is ready at every look."""
    stop = threading.Event()
    missed: list[Pod] = []

    def ask() -> None:
        while not stop.wait(0.2):
            missed.extend(pod for pod in pods() if not pod.is_ready() and pod in pods())

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        stop.set()
        asking.join()
    assert not missed


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_release_is_replaced_under_load_and_taken_back(
    start: Start,
    start_edge: Callable[..., Any],
    environ: dict[str, str],
    verify: Callable[..., dict[str, int]],
    engine: Engine,
    query: Query,
    tmp_path: Path,
) -> None:
    later = later_version(tmp_path / "later")
    number = iter(range(100))
    serving: list[Pod] = []

    def pod(component: str, revision: int, version: Mapping[str, str]) -> Pod:
        return Pod(component, revision, tmp_path / f"pod{next(number)}", start, {**environ, **version})

    def flows(what: str) -> None:
        before = query("SELECT count(*) FROM samples")
        eventually(lambda: query("SELECT count(*) FROM samples") > before, 30, what=f"rows flow {what}")

    def roll(old: list[Pod], revision: int, version: Mapping[str, str]) -> list[Pod]:
        """As the chart's Deployments do: the migration, and for each old pod a new one that is ready before the old ends."""
        pod("migrations", revision, version).ends()
        flows("while the old collectors meet the schema that the Job left")
        new = []
        for each in old:
            new.append(pod("collector", revision, version))
            each.stop()
        serving.append(pod("api", revision, version))
        leaving = serving.pop(0)
        leaving.stop()
        flows(f"in revision {revision}")
        return new

    feeder = Feeder(tmp_path / "growing.csv", 400, "GPU-upgrade")
    feeder.start()
    pod("migrations", 1, {}).ends()
    collectors = [pod("collector", 1, {})]
    serving.append(pod("api", 1, {}))
    start_edge(feeder.path, TELEMETRY_STREAM_INTERVAL_S="0.2")
    flows("at first")
    with always_ready(lambda: list(serving)):
        collectors = roll(collectors, 2, later)
        assert migrate.current(engine) == "9999"
        collectors = roll(collectors, 3, {})
        assert migrate.current(engine) == "9999"
    feeder.finish()

    def is_exact() -> bool:
        counts = verify(feeder.path)
        return exact(counts) and counts["read"] >= feeder.rows

    eventually(is_exact, 60, every_s=1, what="all rows are stored")
