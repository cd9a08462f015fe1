"""The decisions of a deployment, without clusters: names, passwords, nodes, quotas, workloads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from telemetry.deploy import nodes, quotas, trouble, workloads
from telemetry.deploy.inventory import Broker, Inventory, Site, checked, merged, named
from telemetry.deploy.passwords import PasswordError, moved, resolved
from telemetry.deploy.rendered import Claim, Workload
from tests.chart.scheduler import admits
from tests.chart.test_scenarios import NODES

SELECTORS: list[dict[str, Any]] = [
    {},
    {"nodeSelector": {"node-type": "gpu"}},
    {"nodeSelector": {"node-type": "gpu"}, "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]},
    {"tolerations": [{"operator": "Exists"}]},
    {"tolerations": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]},
    *(
        {"affinity": {"nodeAffinity": {nodes.REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}}}
        for expression in (
            {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["us-west-2a"]},
            {"key": "node-type", "operator": "NotIn", "values": ["gpu"]},
            {"key": "node-type", "operator": "DoesNotExist"},
            {"key": "node-type", "operator": "Exists"},
        )
    ),
    {"affinity": {"nodeAffinity": {nodes.REQUIRED: {"nodeSelectorTerms": [{}]}}}},
]


@pytest.mark.parametrize("spec", SELECTORS, ids=str)
def test_nodes_are_judged_as_by_the_scheduler_of_the_charts_tests(spec: dict[str, Any]) -> None:
    as_objects = [
        {
            "metadata": {"name": each.name, "labels": dict(each.labels)},
            "spec": {"taints": [{"key": taint.key, "value": taint.value, "effect": taint.effect} for taint in each.taints]},
        }
        for each in NODES
    ]
    assert nodes.admitting(as_objects, spec) == [each.name for each in NODES if admits(each, spec)]


@pytest.mark.parametrize(
    ("context", "name"),
    [
        ("arn:aws:eks:us-west-2:1:cluster/gpu-1", "gpu-1"),
        ("gke_p_zone_c", "gke_p_zone_c"),
        ("admin@west", "west"),
        ("a b", "a-b"),
    ],
)
def test_a_cluster_is_named_by_its_context(context: str, name: str) -> None:
    assert named(context) == name


def test_two_edges_of_one_name_are_refused() -> None:
    sites = (Site("edge", "a/x", "x"), Site("edge", "b/x", "x"))
    assert "several edges are called x" in checked(Inventory(sites, broker=Broker(host="r")))[0]
    assert "is a URL" in checked(Inventory(broker=Broker(host="redis://r")))[0]


def test_options_win_over_the_inventory() -> None:
    inventory = Inventory((Site("edge", "old", "old"), Site("central", "c", "c")), broker=Broker(host="r", port=1))
    found = merged(inventory, {"edge": ["new", "new"]}, redis_port=2, redis_host=None, namespace=None)
    assert [(site.role, site.context) for site in found.sites] == [("central", "c"), ("edge", "new")]
    assert (found.broker.host, found.broker.port, found.namespace) == ("r", 2, "telemetry")


def test_passwords_leave_the_arguments() -> None:
    found = moved(
        ["deploy", "--redis-password", "a", "x", "--db-password=b"], {"PATH": "/", "TELEMETRY_DEPLOY_DB_PASSWORD_FILE": "/f"}
    )
    assert found is not None
    assert found.arguments == ["deploy", "x"]
    assert found.environ == {"PATH": "/", "TELEMETRY_DEPLOY_REDIS_PASSWORD": "a", "TELEMETRY_DEPLOY_DB_PASSWORD": "b"}
    assert moved(["deploy", "--redis-password", "-", "--db-password", "@/f"], {}) is None


def test_where_passwords_come_from(tmp_path: Path) -> None:
    (tmp_path / "word").write_text("of a file\n")
    name, file = "TELEMETRY_DEPLOY_DB_PASSWORD", str(tmp_path / "word")
    assert resolved("--db-password", f"@{file}", {}, str) == "of a file"
    assert resolved("--db-password", None, {f"{name}_FILE": file}, str) == "of a file"
    assert resolved("--db-password", None, {name: "w"}, str) == "w"
    assert resolved("--db-password", "-", {}, lambda _: "asked") == "asked"
    assert resolved("--db-password", None, {}, str) is None
    for value, environ in ((None, {name: "w", f"{name}_FILE": file}), (None, {name: ""}), ("@/nowhere", {})):
        with pytest.raises(PasswordError):
            resolved("--db-password", value, environ, str)


def workload(name: str, replicas: int | None, **resources: Any) -> Workload:
    container = {"name": name, "resources": resources}
    return Workload("Deployment", name, replicas, {"metadata": {"labels": {}}, "spec": {"containers": [container]}})


def test_quotas() -> None:
    assert quotas.quantity("1500m") == quotas.quantity("1.5")
    assert quotas.quantity("1Gi") == 1 << 30
    hard = {"requests.cpu": "2", "requests.memory": "1Gi", "pods": "9", "persistentvolumeclaims": "0"}
    quota = {"metadata": {"name": "q"}, "status": {"hard": hard, "used": {"requests.cpu": "500m"}}}
    some = [
        workload("a", 3, requests={"cpu": "400m", "memory": "128Mi"}),
        workload("b", None, requests={"cpu": "200m", "memory": "64Mi"}),
    ]
    assert not list(quotas.problems([quota], some, [], {"b": 1}, new=True))
    full = [says for says, _ in quotas.problems([quota], some, [Claim("c", None)], {"b": 2}, new=True)]
    assert [says.split(" of ")[1].split(",")[0] for says in full] == ["requests.cpu", "persistentvolumeclaims"]
    assert not list(quotas.problems([quota], some, [Claim("c", None)], {"b": 2}, new=False))


def test_a_workload_that_its_controller_has_not_seen_is_not_up() -> None:
    status = {"readyReplicas": 2, "updatedReplicas": 2, "observedGeneration": 1}
    item = {"metadata": {"name": "a", "labels": {}, "generation": 2}, "spec": {"replicas": 2}, "status": status}
    assert not workloads.state("Deployment", item).is_up
    assert workloads.state("Deployment", item | {"status": status | {"observedGeneration": 2}}).is_up
    assert not workloads.state("DaemonSet", {"metadata": {"name": "d", "labels": {}}, "status": {}}).is_up


def test_of_containers_only_those_that_hold_things_up_are_shown() -> None:
    waits = {"name": "api", "ready": False, "state": {"waiting": {"reason": "PodInitializing"}}}
    first = {"name": "wait", "ready": False, "state": {"running": {}}}
    done = {"name": "done", "ready": True, "state": {"terminated": {"exitCode": 0}}}
    pod = {"status": {"initContainerStatuses": [done, first], "containerStatuses": [waits]}}
    assert trouble.failing(pod) == [first]
    assert trouble.failing({"status": {"containerStatuses": [waits | {"ready": True}]}}) == []
