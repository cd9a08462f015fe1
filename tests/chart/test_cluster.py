"""What the chart makes of what the cluster answers: by the binaries of Helm, against a server that answers like Kubernetes."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.chart import cluster
from tests.chart.cases import EDGE, PASSWORD
from tests.chart.rendering import Object, merged, named, pod_of, values_of, variables
from tests.chart.test_scenarios import helm

pytestmark = [
    pytest.mark.skipif((platform.system(), platform.machine()) != ("Linux", "x86_64"), reason="scripts/helm has no other"),
    pytest.mark.parametrize("version", ["3", "4"]),
]
NAMESPACE = "/api/v1/namespaces/gpu"
ACCOUNT = f"{NAMESPACE}/serviceaccounts/default"
SYSTEM = "/api/v1/namespaces/kube-system"
STREAMER = "/apis/apps/v1/namespaces/gpu/daemonsets/t-telemetry-pipeline-streamer"
COLLECTOR = "/apis/apps/v1/namespaces/gpu/deployments/t-telemetry-pipeline-collector"


def account(uid: str) -> Object:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "uid": uid}}


def edge_of(objects: list[Object]) -> Any:
    return variables(pod_of(objects, "streamer")["spec"]["containers"][0])["TELEMETRY_EDGE"]


def test_two_clusters_that_nobody_named_are_two(version: str, tmp_path: Path) -> None:
    told = [edge_of(cluster.ask(helm(version), {ACCOUNT: account(uid)}, values_of(EDGE), tmp_path)) for uid in "ab"]
    new = {SYSTEM: {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "uid": "c"}}}
    told.append(edge_of(cluster.ask(helm(version), new, values_of(EDGE), tmp_path)))
    assert len(set(told)) == 3
    assert all(each.startswith("edge-") and each.endswith("/$(EDGE_NODE)") for each in told)


def test_an_edge_keeps_the_name_it_has(version: str, tmp_path: Path) -> None:
    container = {"name": "streamer", "env": [{"name": "TELEMETRY_EDGE", "value": "edge/$(EDGE_NODE)"}]}
    there = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "t", **cluster.OWNED},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
    assert edge_of(cluster.ask(helm(version), {ACCOUNT: account("a"), STREAMER: there}, values_of(EDGE), tmp_path)) == (
        "edge/$(EDGE_NODE)"
    )


@pytest.mark.parametrize("scaler", ["autoscaling", "keda"])
def test_autoscaling_that_an_upgrade_switches_on_leaves_as_many_as_there_are(version: str, scaler: str, tmp_path: Path) -> None:
    there = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "t", **cluster.OWNED}, "spec": {"replicas": 3}}
    values = merged(PASSWORD, {"collector": {scaler: {"enabled": True}}})
    objects = cluster.ask(helm(version), {COLLECTOR: there}, values, tmp_path)
    assert named(objects, "Deployment", "-collector")["spec"]["replicas"] == 3
    objects = cluster.ask(helm(version), {}, values, tmp_path)
    assert "replicas" not in named(objects, "Deployment", "-collector")["spec"]


@pytest.mark.parametrize("level", ["baseline", "restricted", "privileged"])
def test_files_of_the_node_need_a_namespace_that_allows_them(version: str, level: str, tmp_path: Path) -> None:
    labels = {"pod-security.kubernetes.io/enforce": level}
    there = {NAMESPACE: {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gpu", "labels": labels}}}
    claim = merged(values_of(EDGE), {"streamer": {"files": {"existingClaim": "dumps"}}})
    assert cluster.ask(helm(version), there, claim, tmp_path)
    if level == "privileged":
        assert cluster.ask(helm(version), there, values_of(EDGE), tmp_path)
        return
    with pytest.raises(subprocess.CalledProcessError) as told:
        cluster.ask(helm(version), there, values_of(EDGE), tmp_path)
    assert f"enforces the Pod Security level {level}" in told.value.stderr
    assert "streamer.files.existingClaim" in told.value.stderr
