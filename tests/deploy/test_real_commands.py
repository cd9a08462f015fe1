"""What is run in pods, for real: the cluster's API is played, and each command that comes is run beside broker and database."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from tests.deploy.centre import edge_of
from tests.deploy.conftest import Stage
from tests.deploy.kubernetes import Api, Execute
from tests.fixtures.services import Query
from tests.streamer.edge import HEADER, rows

ALL = ("--edge-context", "gpu-1", "--central-context", "main", "--redis-host", "redis.internal")
GIVEN = {"TELEMETRY_DEPLOY_REDIS_PASSWORD": "one", "TELEMETRY_DEPLOY_DB_PASSWORD": "two"}
EDGE = "gpu-1/gpu-1"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def growing(tmp_path: Path) -> Path:
    """The file of the edge, which has a row more each time that the centre is asked."""
    (tmp_path / "a.csv").write_text(HEADER)
    return tmp_path / "a.csv"


@pytest.fixture
def live(stage: Stage, telemetry: Run, growing: Path) -> Stage:
    """Clusters in whose pods commands are run for real."""
    asked = count()

    def execute(api: Api) -> Execute:
        def run(pod: str, container: str, words: list[str]) -> tuple[int, str]:
            with growing.open("a") as file:
                number = next(asked)
                file.write(rows(number, number + 1))
            edge = {"TELEMETRY_ROLE": "edge", "TELEMETRY_EDGE": edge_of(api, pod)} if container == "streamer" else {}
            done = telemetry(*words[1:], **edge)
            return done.returncode, done.stdout or done.stderr

        return run

    for api in stage.clusters.values():
        api.execute = execute(api)
    return stage


@pytest.mark.timeout(180)
def test_the_first_row_and_the_trial_of_an_edge(
    live: Stage,
    start_collector: Callable[[], object],
    start_edge: Callable[..., object],
    query: Query,
    growing: Path,
) -> None:
    nothing = live.run("deploy-all", *ALL, "--first-row", "4", **GIVEN)
    assert nothing.returncode == 1
    assert f"no row of edge {EDGE} within 4 s: the broker has never heard of it" in nothing.stdout
    start_collector()
    start_edge(growing, TELEMETRY_EDGE=EDGE)
    done = live.run("deploy-all", *ALL, "--first-row", "60", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert (row["edge"], row["stored"]) == (EDGE, True)
    assert 0 <= row["after_s"] < 60
    (site,) = [each for each in json.loads(live.run("status", *ALL, "--json").stdout) if each["role"] == "edge"]
    (edge,) = site["edges"]
    assert (edge["edge"], edge["sources"], edge["silent_s"]) == (EDGE, 1, 0)
    assert edge["row_age_s"] is not None
    validated = live.run("validate", *ALL, "--json")
    assert validated.returncode == 0, validated.stdout + validated.stderr
    (trial,) = json.loads(validated.stdout)["trials"]
    assert (trial["edge"], trial["committed"]) == (EDGE, True)
    assert 0 < trial["latency_s"] <= trial["round_trip_s"] + 1
    assert query("SELECT count(*)::int FROM batches WHERE blank > 0") == [(0,)]
    assert query("SELECT count(*) > 0 FROM samples") == [(True,)]
    assert query("SELECT count(*)::int FROM gpus") == [(1,)]
