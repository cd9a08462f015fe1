"""Everything that would keep a deployment from working is said before anything changes, all at once, each with its mend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.conftest import Stage
from tests.deploy.kubernetes import NAMESPACE, node

EDGE = ("--edge-context", "gpu-1", "--redis-host", "redis.internal")
CENTRE = ("--central-context", "main", "--redis-host", "redis.internal")

PASSWORD = {"TELEMETRY_DEPLOY_DB_PASSWORD": "word"}


def problems(stage: Stage, *arguments: str, **variables: str) -> list[str]:
    """What is wrong; the mend is not empty, and nothing was changed."""
    done = stage.run("deploy-all", *arguments, "--json", **(PASSWORD | variables))
    assert done.stdout, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if document["ok"] else 1), done.stderr
    if not document["ok"]:
        assert not stage.changes
    assert all(each["mend"] for each in document["problems"])
    return [each["says"] for each in document["problems"]]


def values(folder: Path, document: dict[str, Any]) -> tuple[str, str]:
    (folder / "more.yaml").write_text(yaml.safe_dump(document))
    return "--values", str(folder / "more.yaml")


def test_a_sound_cluster_has_no_problems(stage: Stage) -> None:
    assert problems(stage, *EDGE) == []


def test_no_node_is_an_error_that_lists_the_labels_there_are(stage: Stage) -> None:
    del stage.clusters["gpu-1"].objects["/api/v1/nodes/gpu-1"]
    (said,) = problems(stage, *EDGE)
    assert said == "no node takes pods of streamer: asked for: node-type=gpu; the labels of the 1 nodes are: node-type=cpu"


def test_a_taint_that_is_not_tolerated_is_named(stage: Stage) -> None:
    stage.clusters["gpu-1"].put("/api/v1/nodes/gpu-1", node("gpu-1", taints=("team",), node_type="gpu"))
    (said,) = problems(stage, *EDGE)
    assert "team:NoSchedule" in said


def test_all_problems_of_all_clusters_come_at_once(stage: Stage, tmp_path: Path) -> None:
    edge, main = stage.clusters["gpu-1"], stage.clusters["main"]
    edge.version = "v1.27.1"
    edge.denied = {("create", "daemonsets"), ("patch", "secrets")}
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    edge.put(NAMESPACE, {"metadata": {"name": "telemetry", "labels": enforced}})
    main.objects.pop("/apis/storage.k8s.io/v1/storageclasses/fast")
    quota = {"metadata": {"name": "small"}, "status": {"hard": {"pods": "3", "limits.cpu": "4"}, "used": {"pods": "1"}}}
    main.put(f"{NAMESPACE}/resourcequotas/small", quota)
    main.put(f"{NAMESPACE}/serviceaccounts/telemetry-central-telemetry-pipeline", {"metadata": {"name": "x"}})
    more = values(tmp_path, {"metrics": {"podMonitor": {"enabled": True}}})
    said = "\n".join(problems(stage, *EDGE, "--central-context", "main", *more))
    for expected in (
        "Kubernetes is v1.27.1",
        "may not, in namespace telemetry: create daemonsets; patch secrets",
        "enforces Pod Security restricted",
        "does not know PodMonitor of monitoring.coreos.com/v1",
        "wants the default storage class, and there is none",
        "the quota small leaves 2 of pods",
        "the quota small bounds limits.cpu",
        "ServiceAccount telemetry-central-telemetry-pipeline is there and belongs to no release",
    ):
        assert expected in said


def test_contexts_helm_and_files_that_are_not_there(stage: Stage) -> None:
    (said,) = problems(stage, "--edge-context", "nowhere", "--redis-host", "r")
    assert said == "kubeconfig has no context nowhere"
    done = stage.run("validate", *EDGE, "--helm", "/nowhere/helm", "--json")
    assert "there is no program /nowhere/helm" in json.loads(done.stdout)["problems"][0]["says"]


def test_different_clusters_need_an_address(stage: Stage) -> None:
    (said,) = problems(stage, "--edge-context", "gpu-1", "--central-context", "main")
    assert said == "gpu-1, main are different clusters"
    assert problems(stage, "--edge-context", "gpu-1") == ["nothing in this namespace brings a broker"]


def test_the_centre_needs_a_password_or_a_secret(stage: Stage) -> None:
    done = stage.run("validate", *CENTRE, "--json")
    (found,) = json.loads(done.stdout)["problems"]
    assert "no password for the chart's own Postgres" in found["says"]
    stage.clusters["main"].put(f"{NAMESPACE}/secrets/telemetry-database", {"metadata": {"name": "d"}, "data": {"password": ""}})
    assert stage.run("validate", *CENTRE).returncode == 0
    assert "was not made by this tool" in problems(stage, *CENTRE)[0]


def test_pods_need_the_account_that_they_run_as(stage: Stage, tmp_path: Path) -> None:
    account = values(tmp_path, {"serviceAccount": {"create": False, "name": "gpu"}})
    assert problems(stage, *EDGE, *account) == ["there is no ServiceAccount gpu"]
    stage.clusters["gpu-1"].put(f"{NAMESPACE}/serviceaccounts/gpu", {"metadata": {"name": "gpu"}})
    assert problems(stage, *EDGE, *account) == []


def test_a_deployment_that_was_cut_off_is_told(stage: Stage) -> None:
    release = {"name": "telemetry-edge", "status": "pending-upgrade", "chart": "telemetry-pipeline-0.1.0"}
    (stage.folder / "releases-gpu-1.json").write_text(json.dumps([release]))
    (said,) = problems(stage, *EDGE)
    assert "pending-upgrade" in said


def test_values_that_the_chart_refuses_are_told(stage: Stage, tmp_path: Path) -> None:
    (said,) = problems(stage, *EDGE, *values(tmp_path, {"streamer": {"nonsense": 1}}))
    assert "nonsense" in said


def test_a_cluster_that_does_not_answer_is_told(stage: Stage) -> None:
    text = stage.kubeconfig.read_text().replace(stage.clusters["gpu-1"].url, "http://127.0.0.1:1")
    stage.kubeconfig.write_text(text)
    (said,) = problems(stage, *EDGE)
    assert "the cluster of gpu-1 does not answer" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[redis]\npassword = "x"\n', "passwords do not belong in an inventory"),
        ('[redis]\nhots = "x"\n', "redis has no key 'hots'"),
        ("[redis]\nport = '6379'\n", "[redis] port must be a number"),
        ("[[edge]]\nname = 'x'\n", "[edge] lacks `context`"),
        ("nonsense", "cannot be read"),
    ],
)
def test_an_inventory_that_cannot_be_used(stage: Stage, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "fleet.toml").write_text(text)
    done = stage.run("validate", "--inventory", str(tmp_path / "fleet.toml"))
    assert done.returncode == 2
    assert said in done.stderr


def test_what_the_user_may_not_see_hides_no_other_problem(stage: Stage) -> None:
    edge = stage.clusters["gpu-1"]
    edge.forbidden = ("/api/v1/nodes", f"{NAMESPACE}/secrets", f"{NAMESPACE}/serviceaccounts")
    edge.denied = {("list", "secrets"), ("create", "namespaces")}
    edge.version = "v1.27.1"
    said = "\n".join(problems(stage, *EDGE))
    for expected in ("v1.27.1", "list secrets", "create namespaces", "the nodes cannot be listed"):
        assert expected in said


def test_who_may_not_look_at_the_namespace_has_been_given_it(stage: Stage) -> None:
    stage.clusters["gpu-1"].hidden = (NAMESPACE,)
    assert problems(stage, *EDGE) == []
    assert ("POST", "/api/v1/namespaces") not in stage.clusters["gpu-1"].changes
