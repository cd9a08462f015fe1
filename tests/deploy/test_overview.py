"""`status` shows all clusters, and is 0 only where all is up; `cleanup` asks, and keeps data unless it is told otherwise."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import Any

import pytest

from tests.deploy.conftest import Stage
from tests.deploy.kubernetes import NAMESPACE
from tests.launching import BIN

BOTH = ("--edge-context", "gpu-1", "--central-context", "main", "--redis-host", "redis.internal")
GIVEN = {"TELEMETRY_DEPLOY_REDIS_PASSWORD": "one", "TELEMETRY_DEPLOY_DB_PASSWORD": "two"}

HEADINGS = [
    *("ROLE", "CONTEXT", "NAME", "STATE", "CHART", "REV", "NODES", "RESTARTS"),
    *("QUEUE", "ROWS/S", "LATENCY", "LAG", "SILENT", "READY"),
]
CLAIM = f"{NAMESPACE}/persistentvolumeclaims/data"


@pytest.fixture
def deployed(stage: Stage) -> Stage:
    """A centre and an edge, with a claim of the centre."""
    assert stage.run("deploy-all", *BOTH, **GIVEN).returncode == 0
    labels = {"app.kubernetes.io/instance": "telemetry-central"}
    stage.clusters["main"].put(CLAIM, {"metadata": {"name": "data", "labels": labels}})
    return stage


def states(done: subprocess.CompletedProcess[str]) -> dict[str, bool]:
    return {each["context"]: each["ready"] for each in json.loads(done.stdout)}


def test_status_tells_what_is_up(deployed: Stage) -> None:
    done = deployed.run("status", *BOTH)
    assert done.returncode == 0, done.stdout + done.stderr
    heading, centre, edge, streamer = done.stdout.splitlines()
    assert heading.split() == HEADINGS
    assert "collector 3/3" in centre
    assert "streamer 1/1" in edge
    assert streamer.split()[:2] == ["gpu-1/gpu-1", "streams"]
    assert streamer.split()[4:] == ["gpu-1", "0", "-", "12", "0.21", "s", "0", "bytes", "-"]
    # Three messages wait and two are being worked on.
    assert " 5 " in centre
    daemons = "/apis/apps/v1/namespaces/telemetry/daemonsets/telemetry-edge-telemetry-pipeline-streamer"
    deployed.clusters["gpu-1"].objects[daemons]["status"]["numberReady"] = 0
    done = deployed.run("status", *BOTH, "--json")
    assert (done.returncode, states(done)) == (1, {"main": True, "gpu-1": False})


def edges(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [edge for site in json.loads(done.stdout) for edge in site["edges"]]


def test_status_tells_of_each_edge_what_the_centre_knows(deployed: Stage) -> None:
    deployed.centre.changed |= {"gpu-1/old": {"silent_s": 7200.0, "lag_bytes": 2_500_000}, "gpu-1/gpu-1": None}
    deployed.centre.row_age_s |= {"gpu-1/old": None, "gpu-1/gpu-1": None}
    done = deployed.run("status", *BOTH)
    assert done.returncode == 1
    old, new = sorted(done.stdout.splitlines()[-2:], key=lambda line: "gpu-1/old" not in line)
    assert "SILENT" in old
    assert "2.5 MB" in old
    assert "2 h" in old
    assert " ".join(new.split()).startswith("gpu-1/gpu-1 never heard of")
    document = deployed.run("status", *BOTH, "--json")
    found = {each["edge"]: each for each in edges(document)}
    assert found["gpu-1/old"]["silent_s"] == 7200
    assert found["gpu-1/gpu-1"] == {"edge": "gpu-1/gpu-1", "unknown": True}
    assert json.loads(document.stdout)[0]["queue"] == {"waiting": 3, "unacked": 2}
    assert json.loads(document.stdout)[1]["pods"][0]["node"] == "gpu-1"


def test_status_tells_that_the_centre_cannot_be_asked(deployed: Stage) -> None:
    deployed.centre.fault = "the broker is frozen"
    done = deployed.run("status", *BOTH)
    assert done.returncode == 1
    assert "of edges nothing is known: the centre cannot tell: the broker is frozen" in done.stdout
    deployed.clusters["main"].forbidden = (f"{NAMESPACE}/pods",)
    assert "is forbidden" in deployed.run("status", *BOTH).stdout


def test_status_is_shown_again_and_again(deployed: Stage) -> None:
    command = (str(BIN / "telemetry"), "deploy", "status", *BOTH, "--watch", "--json", "--interval", "1")
    with deployed.opened(*command) as process:
        assert process.stdout
        documents = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert [len(each) for each in documents] == [2, 2]


def test_status_tells_what_is_not_there_and_what_does_not_answer(stage: Stage) -> None:
    stage.kubeconfig.write_text(stage.kubeconfig.read_text().replace(stage.clusters["main"].url, "http://127.0.0.1:1"))
    (stage.folder / "releases-main.json").write_text('[{"name": "telemetry-central", "status": "deployed"}]')
    done = stage.run("status", *BOTH)
    assert done.returncode == 1
    assert "not installed" in done.stdout
    assert "does not answer" in done.stdout


def test_cleanup_asks_and_keeps_data(deployed: Stage) -> None:
    refused = deployed.run("cleanup", *BOTH)
    assert refused.returncode == 1
    assert not deployed.called("uninstall")
    done = deployed.run("cleanup", *BOTH, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [call["arguments"][1] for call in deployed.called("uninstall")] == ["telemetry-edge", "telemetry-central"]
    assert "the claim data stays, with its data" in done.stdout
    kept = set(deployed.clusters["main"].objects)
    assert {CLAIM, f"{NAMESPACE}/secrets/telemetry-database"} <= kept
    assert deployed.run("cleanup", *BOTH, "--yes").returncode == 0


def test_cleanup_removes_data_when_it_is_told_to(deployed: Stage) -> None:
    only_edge = deployed.run("cleanup", "--edge-context", "gpu-1", "--yes", "--delete-data")
    assert only_edge.returncode == 0, only_edge.stdout + only_edge.stderr
    assert f"{NAMESPACE}/secrets/telemetry-broker" not in deployed.clusters["gpu-1"].objects
    assert CLAIM in deployed.clusters["main"].objects
    done = deployed.run("cleanup", *BOTH, "--yes", "--delete-data")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not {CLAIM, f"{NAMESPACE}/secrets/telemetry-database"} & set(deployed.clusters["main"].objects)


def test_secrets_stay_while_another_release_uses_them(stage: Stage) -> None:
    one = ("--edge-context", "main", "--central-context", "main")
    assert stage.run("deploy-all", *one, **GIVEN).returncode == 0
    assert stage.run("cleanup", "--edge-context", "main", "--yes", "--delete-data").returncode == 0
    assert f"{NAMESPACE}/secrets/telemetry-broker" in stage.clusters["main"].objects
