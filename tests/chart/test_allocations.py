"""What records which pods have which GPUs: its rights, who has its token, and its way to broker and API."""

from __future__ import annotations

import pytest

from tests.chart.cases import CASES, EDGE, PASSWORD
from tests.chart.rendering import Object, merged, named, pod_of, render, values_of, variables

ON = merged(PASSWORD, {"allocations": {"enabled": True}})


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    return [each for each in objects if each["kind"] == kind]


@pytest.mark.parametrize("case", [case for case in CASES if case != "edge-allocations"])
def test_nothing_may_read_the_cluster_unless_it_is_asked_to(case: str) -> None:
    objects = render(CASES[case])
    assert not [each for each in objects if "Role" in each["kind"]]
    assert "serviceAccountToken" not in str(objects)


def test_it_may_list_and_watch_what_it_reads_and_nothing_else() -> None:
    objects = render(ON)
    (role,), (binding,) = of_kind(objects, "ClusterRole"), of_kind(objects, "ClusterRoleBinding")
    rights = {(verb, resource) for rule in role["rules"] for verb in rule["verbs"] for resource in rule["resources"]}
    resources = ("pods", "nodes", "resourceclaims", "resourceslices")
    assert rights == {(verb, resource) for verb in ("list", "watch") for resource in resources}
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    spec = pod_of(objects, "allocations")["spec"]
    assert [(each["name"], each["namespace"]) for each in binding["subjects"]] == [(spec["serviceAccountName"], "gpu")]
    # Neither role nor account is that of another part.
    assert pod_of(objects, "collector")["spec"]["serviceAccountName"] != spec["serviceAccountName"]
    # A release of the same name in another namespace has a role of its own.
    assert len(role["metadata"]["name"].rpartition("-")[2]) == 8


def test_what_records_has_the_token_and_nothing_of_the_broker_and_the_others_have_it_the_other_way_round() -> None:
    spec = pod_of(render(merged(ON, {"redis": {"password": "word"}})), "allocations")["spec"]
    mounts = {each["name"]: {mount["name"] for mount in each["volumeMounts"]} for each in spec["containers"]}
    assert mounts == {
        "record": {"tmp", "recorded", "account"},
        "streamer": {"tmp", "run", "secrets", "recorded"},
        "beat": {"tmp", "run", "secrets"},
    }


def test_it_is_an_edge_of_its_own_and_its_streamer_reads_what_is_recorded() -> None:
    values = merged(values_of(EDGE), {"allocations": {"enabled": True}, "externalRedis": {"host": "r"}})
    containers = {each["name"]: each for each in pod_of(render(values), "allocations")["spec"]["containers"]}
    told = variables(containers["streamer"])
    assert told["TELEMETRY_EDGE"] == "edge/allocations"
    assert variables(containers["beat"])["TELEMETRY_EDGE"] == told["TELEMETRY_EDGE"]
    assert told["TELEMETRY_SOURCES"] == "/recorded/pods-*.csv"
    assert containers["record"]["command"][:4] == ["telemetry", "record", "/recorded", "--pods"]
    alone = merged(values, {"clusterName": "", "streamer": {"enabled": False}})
    (streamer,) = [each for each in pod_of(render(alone), "allocations")["spec"]["containers"] if each["name"] == "streamer"]
    # Two clusters without a name are not both `local`.
    assert variables(streamer)["TELEMETRY_EDGE"] == "edge/allocations"


def test_policies_let_it_to_the_kubernetes_api_and_to_the_broker() -> None:
    objects = render(ON)
    policy = named(objects, "NetworkPolicy", "-allocations")["spec"]
    assert [{"port": 443}, {"port": 6443}] in [rule["ports"] for rule in policy["egress"]]
    redis = named(objects, "NetworkPolicy", "-redis")["spec"]["ingress"][0]["from"][0]
    assert "allocations" in redis["podSelector"]["matchExpressions"][0]["values"]
