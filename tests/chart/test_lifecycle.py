"""How pods come, are replaced and go: who is replaced by which change, what is waited for, and what ends by itself."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.chart.cases import CASES, CENTRE, EDGE, PASSWORD
from tests.chart.rendering import CHART, Object, merged, named, notes, pod_of, pods, render, values_of

CENTRAL = {"api", "collector", "exporter", "flower", "migrations", "postgresql", "redis", "streamer"}
CLAIM = {"streamer": {"files": {"existingClaim": "dumps"}}}
# Volumes of the level restricted, after https://kubernetes.io/docs/concepts/security/pod-security-standards/.
RESTRICTED = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def changed(values: dict[str, Any]) -> set[str]:
    """The components whose pods differ from those without these values."""
    before, after = dict(pods(render(PASSWORD))), dict(pods(render(merged(PASSWORD, values))))
    return {component for component in after.keys() - {"smoke"} if before[component] != after[component]}


def test_a_pod_is_replaced_for_the_secrets_that_it_mounts() -> None:
    other = {"postgresql": {"auth": {"password": "other"}}}
    assert changed(other) == {"api", "collector", "exporter", "migrations", "postgresql"}
    with_password = {"redis": {"password": "word"}}
    assert changed(with_password) == CENTRAL - {"postgresql"}
    assert changed({"restartToken": "2"}) == CENTRAL - {"postgresql", "redis"}


@pytest.mark.parametrize("component", ["api", "flower", "exporter"])
def test_a_server_answers_until_no_service_leads_to_it(component: str) -> None:
    spec = pod_of(render(merged(PASSWORD, {component: {"terminationGracePeriodSeconds": 20}})), component)["spec"]
    assert spec["containers"][0]["lifecycle"] == {"preStop": {"exec": {"command": ["sleep", "5"]}}}
    assert spec["terminationGracePeriodSeconds"] == 25
    spec = pod_of(render(merged(PASSWORD, {"drainSeconds": 0})), component)["spec"]
    assert "lifecycle" not in spec["containers"][0]


def violations(pod: Object) -> set[str]:
    """What of a pod the level restricted forbids."""
    found = {kind for volume in pod["spec"]["volumes"] for kind in set(volume) - {"name"} - RESTRICTED}
    for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
        context = container["securityContext"]
        if context["allowPrivilegeEscalation"] or context["capabilities"]["drop"] != ["ALL"]:
            found.add(container["name"])
    return found


@pytest.mark.parametrize("case", CASES)
def test_the_files_of_a_node_are_all_that_pod_security_forbids(case: str) -> None:
    found = set().union(*(violations(pod) for _, pod in pods(render(CASES[case]))))
    assert found <= {"hostPath", "nfs"}
    # Replicas that share a claim record nothing.
    shared = merged(CASES[case], merged(CLAIM, {"streamer": {"record": {"enabled": False}}}))
    assert not set().union(*(violations(pod) for _, pod in pods(render(shared))))
    assert ("pod-security.kubernetes.io/enforce=privileged" in notes(CASES[case])) == ("hostPath" in found)


@pytest.mark.parametrize(
    ("kind", "replicas", "told"), [("Deployment", 1, False), ("Deployment", 3, True), ("DaemonSet", 1, True)]
)
def test_helm_3_waits_for_a_streamer_that_is_alone_and_else_the_notes_say_so(kind: str, replicas: int, told: bool) -> None:
    values = merged(PASSWORD, {"streamer": {"kind": kind, "replicaCount": replicas}})
    spec = named(render(values), kind, "-streamer")["spec"]
    if not told:
        assert spec["strategy"] == {"type": "Recreate"}
    assert ("rollout status" in notes(values)) is told


def test_a_hook_has_one_name_and_every_job_ends_and_goes() -> None:
    values = merged(PASSWORD, {"migrations": {"hook": True}})
    first, second = (named(render(values, revision=revision), "Job", "-migrate") for revision in (2, 3))
    assert first["metadata"]["name"] == second["metadata"]["name"]
    policies = first["metadata"]["annotations"]["helm.sh/hook-delete-policy"].split(",")
    assert set(policies) == {"before-hook-creation", "hook-succeeded", "hook-failed"}
    for job in (first, *[each for each in render(PASSWORD) if each["kind"] == "Job"]):
        assert job["spec"]["activeDeadlineSeconds"] == 3600
        assert job["spec"]["ttlSecondsAfterFinished"] == 3600


def test_volumes_are_walked_over_once() -> None:
    assert {pod["spec"]["securityContext"]["fsGroupChangePolicy"] for _, pod in pods(render(PASSWORD))} == {"OnRootMismatch"}


def test_the_notes_say_what_stays_and_what_is_waited_for() -> None:
    told = notes(merged(PASSWORD, {"uploads": {"enabled": True}}))
    assert "data-t-telemetry-pipeline-postgresql-0 stays" in told
    assert "t-telemetry-pipeline-uploads (ReadWriteMany)" in told


def test_the_chart_is_whole_without_the_rest_of_the_tree() -> None:
    assert not [path for path in CHART.rglob("*") if path.is_symlink()]
    assert list(CHART.glob("dashboards/*.json"))


def test_the_group_of_the_image_has_a_name() -> None:
    lines = Path(CHART.parents[1], "docker", "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    (user,) = [line.split()[1] for line in lines if line.startswith("USER")]
    group = user.split(":")[1]
    (run,) = [line for line in lines if line.startswith("RUN") and "/etc/group" in line]
    assert any(f":{group}:" in word for word in shlex.split(run))


@pytest.mark.parametrize("values", [values_of(EDGE), merged(values_of(CENTRE), PASSWORD)])
def test_the_test_of_a_release_tries_again_and_leaves_its_log(values: dict[str, Any]) -> None:
    pod = named(render(values), "Pod", "-smoke")
    assert pod["metadata"]["annotations"]["helm.sh/hook-delete-policy"] == "before-hook-creation"
    assert pod["spec"]["activeDeadlineSeconds"] == 300
    assert "until" in pod["spec"]["containers"][0]["command"][-1]
