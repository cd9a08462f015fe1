"""What is written for tools that deploy from a repository is what Helm would install, without a password or a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from telemetry.deploy.gitops import merged
from tests.chart.rendering import render, values_of
from tests.deploy.conftest import Stage

SITES = ("--edge-context", "gpu-1", "--edge-context", "gpu-2", "--central-context", "main", "--redis-host", "redis.internal")
GIVEN = {"TELEMETRY_DEPLOY_REDIS_PASSWORD": "br0ker-word", "TELEMETRY_DEPLOY_DB_PASSWORD": "d4tabase-word"}


def written(stage: Stage, *arguments: str) -> Path:
    output = stage.folder / "out"
    done = stage.run("render", *SITES, "--output", str(output), *arguments, **GIVEN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not any(api.asked for api in stage.clusters.values())
    assert not [path for path in output.rglob("*") if path.is_file() and "-word" in path.read_text()]
    return output


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def test_the_values_of_a_site_are_those_of_a_deployment(stage: Stage) -> None:
    (stage.folder / "more.yaml").write_text("streamer: {config: {batchSize: 7}, tolerations: []}\n")
    output = written(stage, "--values", str(stage.folder / "more.yaml"))
    (whole,) = documents(output / "edge-gpu-1" / "values.yaml")
    assert (whole["clusterName"], whole["streamer"]["config"]["batchSize"], whole["streamer"]["tolerations"]) == (
        "gpu-1",
        7,
        [],
    )
    assert whole["streamer"]["kind"] == "DaemonSet"
    assert whole["externalRedis"]["auth"]["existingSecret"] == "telemetry-broker"
    release = documents(output / "flux" / "edge-gpu-1.yaml")[1]
    assert release["kind"] == "HelmRelease"
    assert release["spec"]["values"] == whole
    assert (output / "edge-gpu-1" / "secrets.txt").read_text() == "telemetry-broker: redis-password\n"
    needed = (output / "central-main" / "secrets.txt").read_text().splitlines()
    assert sorted(needed) == ["telemetry-broker: redis-password", "telemetry-database: password"]


def test_manifests_are_what_the_values_render(stage: Stage) -> None:
    output = written(stage)
    (whole,) = documents(output / "edge-gpu-2" / "values.yaml")
    written(stage, "--form", "manifests")
    found = {(each["kind"], each["metadata"]["name"]): each for each in documents(output / "edge-gpu-2" / "manifests.yaml")}
    wanted = {(each["kind"], each["metadata"]["name"]): each for each in render(whole, release="telemetry-edge")}
    smoke = {key for key in wanted if key[1].endswith("-smoke") and key[0] == "Pod"}
    assert found.keys() == wanted.keys() - smoke
    daemons = ("DaemonSet", "telemetry-edge-telemetry-pipeline-streamer")
    assert found[daemons]["spec"] == wanted[daemons]["spec"]


@pytest.mark.parametrize("form", ["values", "manifests"])
def test_the_application_set_leads_to_files_that_are_there(stage: Stage, form: str) -> None:
    output = written(stage, "--form", form, "--path", "deploy")
    (made,) = documents(output / "argocd" / "applicationset.yaml")
    elements = made["spec"]["generators"][0]["list"]["elements"]
    assert [(each["role"], each["cluster"]) for each in elements] == [("central", "main"), ("edge", "gpu-1"), ("edge", "gpu-2")]
    first = made["spec"]["template"]["spec"]["sources"][0]
    path = first["path"] + "/manifests.yaml" if form == "manifests" else first["helm"]["valueFiles"][0].removeprefix("$files/")
    for element in elements:
        assert (output / path.removeprefix("deploy/").replace("{{.site}}", element["site"])).is_file()
    steps = made["spec"]["strategy"]["rollingSync"]["steps"]
    assert [step["matchExpressions"][0]["values"] for step in steps] == [["shared"], ["central"], ["edge"]]


def test_a_second_run_writes_the_same(stage: Stage) -> None:
    output = written(stage)
    before = {path: path.read_text() for path in output.rglob("*") if path.is_file()}
    written(stage)
    assert before == {path: path.read_text() for path in output.rglob("*") if path.is_file()}


def test_a_dry_run_writes_nothing_and_a_folder_must_be_named(stage: Stage) -> None:
    done = stage.run("render", *SITES, "--output", str(stage.folder / "no"), "--dry-run")
    assert done.returncode == 0
    assert not (stage.folder / "no").exists()
    assert stage.run("render", *SITES).returncode == 2
    different = stage.run("render", "--edge-context", "a", "--central-context", "b", "--output", "x")
    assert "different clusters" in different.stderr


def test_files_are_merged_as_helm_merges_them() -> None:
    below = values_of("values-edge-cluster.yaml")
    assert merged(below, {"streamer": {"nodeSelector": {"a": "b"}}})["streamer"]["nodeSelector"] == {
        "node-type": "gpu",
        "a": "b",
    }
    assert merged({"a": [1, 2]}, {"a": [3]}) == {"a": [3]}
