"""What holds of the objects whatever the values: over generated values, as over the cases that are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry.settings import groups_file
from telemetry.settings.groups_file import Rights
from tests.chart.cases import CASES, CENTRE, EDGE, EXTERNAL_DATABASE, PASSWORD, TLS
from tests.chart.rendering import Object, merged, named, pod_of, pods, render, values_of, variables
from tests.chart.test_manifests import VERSIONS, check
from tests.examples import examples

COMPONENTS = ("streamer", "allocations", "collector", "api", "flower", "exporter", "migrations", "redis", "postgresql")
CENTRE_PARTS = {"allocations", "api", "flower", "exporter", "migrations", "smoke", "redis", "postgresql"}
WORKERS = {"streamer", "allocations", "beat", "collector", "api", "flower", "exporter", "redis", "postgresql"}
MARK = "s3cr3t-%s"
names = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
scheduling = st.fixed_dictionaries(
    {},
    optional={
        "nodeSelector": st.dictionaries(names, names, min_size=1, max_size=2),
        "tolerations": st.lists(st.fixed_dictionaries({"key": names, "operator": st.just("Exists")}), min_size=1, max_size=2),
        "affinity": names.map(
            lambda name: {
                "podAntiAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": [
                        {"topologyKey": name, "labelSelector": {"matchLabels": {"a": "b"}}}
                    ]
                }
            }
        ),
    },
)


@st.composite
def generated(draw: st.DrawFn) -> dict[str, Any]:
    """Values that may be rendered, with a password in every place that takes one."""
    base = draw(st.sampled_from([{}, values_of(EDGE), values_of(CENTRE)]))
    values = merged(base, {component: draw(scheduling) for component in COMPONENTS})
    values = merged(values, {"scheduling": draw(scheduling)})
    values = merged(values, draw(st.sampled_from([{}, TLS, EXTERNAL_DATABASE, merged(TLS, EXTERNAL_DATABASE)])))
    for number, (top, *rest) in enumerate((("postgresql", "auth"), ("externalPostgresql",), ("externalRedis",), ("redis",))):
        password: dict[str, Any] = {"password": MARK % number}
        values = merged(values, {top: {rest[0]: password} if rest else password})
    whole: dict[str, Any] = merged(
        values,
        {
            "fullnameOverride": draw(st.just("") | st.from_regex(r"[a-z][a-z0-9-]{0,60}[a-z0-9]", fullmatch=True)),
            "streamer": {
                "enabled": draw(st.booleans()),
                "kind": draw(st.sampled_from(["DaemonSet", "Deployment", "StatefulSet"])),
                "replicaCount": draw(st.integers(0, 4)),
                "files": {"existingClaim": draw(st.sampled_from(["", "dumps"]))},
            },
            "collector": {
                "enabled": draw(st.booleans()),
                "replicaCount": draw(st.integers(0, 4)),
                **draw(st.sampled_from([{}, {"keda": {"enabled": True}}, {"autoscaling": {"enabled": True}}])),
            },
            "api": {"enabled": draw(st.sampled_from([True, False, "auto"]))},
            "flower": {"enabled": draw(st.sampled_from([True, False, "auto"]))},
            "exporter": {"enabled": draw(st.sampled_from([True, False, "auto"]))},
            "networkPolicy": {"enabled": draw(st.booleans())},
            "uploads": {"enabled": draw(st.booleans())},
            "allocations": {"enabled": draw(st.booleans())},
            "ingress": {"enabled": draw(st.booleans())},
            "metrics": {
                name: draw(st.booleans()) if name == "enabled" else {"enabled": draw(st.booleans())}
                for name in ("enabled", "podMonitor", "prometheusRule")
            },
            **draw(st.sampled_from([{}, {"externalRedis": {"username": "user"}}])),
        },
    )
    return whole


def containers(pod: Object) -> list[Object]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def every(objects: list[Object]) -> None:
    """What holds of any release."""
    for component, pod in pods(objects):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        volumes = {each["name"] for each in spec["volumes"]}
        for container in containers(pod):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"]
            assert not context["allowPrivilegeEscalation"]
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert {"requests", "limits"} <= set(container["resources"])
            assert len(container["volumeMounts"]) == len({each["mountPath"] for each in container["volumeMounts"]})
            assert {each["name"] for each in container["volumeMounts"]} <= volumes | {"data"}
        if component in WORKERS:
            # What records ends where it cannot go on; a GPU that is away is a gap, and no reason to begin anew.
            for container in (each for each in spec["containers"] if each["name"] != "record"):
                assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container), container["name"]
    workloads = [each for each in objects if each["kind"] in {"Deployment", "DaemonSet", "StatefulSet"}]
    for each in workloads:
        wanted = each["spec"]["selector"]["matchLabels"].items()
        chosen = [component for component, pod in pods(objects) if wanted <= pod["metadata"]["labels"].items()]
        assert chosen == [each["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]]
    assert all(len(each["metadata"]["name"]) <= 63 for each in objects)
    for each in objects:
        if each["kind"] == "PodDisruptionBudget":
            guarded = [other for other in workloads if other["metadata"]["name"] == each["metadata"]["name"]]
            assert [other["spec"].get("replicas", 2) > 1 for other in guarded] == [True]


def secrets_stay_secret(objects: list[Object]) -> None:
    """No password in anything but a Secret, and every path that a variable names is mounted."""
    for each in objects:
        if each["kind"] != "Secret":
            assert "s3cr3t" not in json.dumps(each)
    for _, pod in pods(objects):
        projected = {
            f"/run/secrets/telemetry/{item['path']}"
            for volume in pod["spec"]["volumes"]
            if volume["name"] == "secrets"
            for source in volume["projected"]["sources"]
            for item in source["secret"]["items"]
        }
        for container in containers(pod):
            told = {value for value in variables(container).values() if value and value.startswith("/run/secrets/telemetry")}
            assert told <= projected
            if any(value.startswith("rediss://") for value in variables(container).values() if value):
                assert variables(container)["TELEMETRY_BROKER_CA"] in projected


def foreign(affinity: Object | None) -> Object | None:
    """An affinity without the rule by which streamers keep apart."""
    if not affinity:
        return None
    rules = affinity["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    others = [each for each in rules if each["topologyKey"] != "kubernetes.io/hostname"]
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": others}} if others else None


def well_placed(objects: list[Object], values: dict[str, Any]) -> None:
    """Scheduling is the component's own, else the common one, and nobody else's."""
    for component, pod in pods(objects):
        own = values.get({"beat": "streamer", "smoke": "migrations"}.get(component, component), {})
        if component == "smoke" and "centre" not in variables(pod["spec"]["containers"][0]).get("TELEMETRY_EDGE", ""):
            continue
        if component == "smoke" and "telemetry-pipeline-edge" in pod["spec"]["containers"][0]["image"]:
            own = values.get("streamer", {})
        centre = values["collector"]["enabled"] and component in CENTRE_PARTS
        for key in ("nodeSelector", "tolerations", "affinity"):
            wanted = own.get(key) or values["scheduling"].get(key) or None
            # The rest of the centre follows the collectors, by what they say of nodes.
            if centre and key != "affinity":
                wanted = wanted or values["collector"].get(key) or None
            found = pod["spec"].get(key) or None
            if key == "affinity":
                # Streamers among themselves: apart on the files of a node; beat is none of them.
                wanted = None if component == "beat" else wanted
                found = foreign(found)
            assert found == wanted, (component, key)


def edge_alone(objects: list[Object]) -> None:
    """Nothing of the database where nothing needs it."""
    assert not {"migrations", "postgresql", "collector", "api", "exporter"} & {component for component, _ in pods(objects)}
    assert "DATABASE" not in json.dumps(objects)
    assert "postgres" not in json.dumps(objects)


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(generated())
def test_whatever_the_values(values: dict[str, Any]) -> None:
    if values["externalRedis"].get("enabled"):
        # A rediss:// broker without a CA of its own is checked against those of the image.
        values = merged(values, {"externalRedis": {"tls": TLS["externalRedis"]["tls"]}})
    objects = render(values)
    check(objects, VERSIONS[-1])
    every(objects)
    secrets_stay_secret(objects)
    well_placed(objects, values)
    if not values["collector"]["enabled"] and True not in (values["api"]["enabled"], values["exporter"]["enabled"]):
        edge_alone(objects)


def test_every_case_that_is_kept() -> None:
    for values in CASES.values():
        every(render(values))


def test_settings_reach_the_processes_they_are_for() -> None:
    objects = render(
        merged(
            PASSWORD,
            {
                "streamer": {"config": {"batchSize": 250, "streamInterval": 0.5, "loopMode": True}},
                "collector": {"config": {"batchSize": 9000, "pollInterval": 0.1, "bufferSize": 1_000_000}, "replicaCount": 7},
            },
        )
    )
    streamer = variables(pod_of(objects, "streamer")["spec"]["containers"][0])
    assert streamer["TELEMETRY_BATCH_SIZE"] == "250"
    assert streamer["TELEMETRY_STREAM_INTERVAL_S"] == "0.5"
    assert streamer["TELEMETRY_LOOP_MODE"] == "true"
    assert streamer["TELEMETRY_STATE_DIR"].startswith("/var/lib/")
    collector = variables(pod_of(objects, "collector")["spec"]["containers"][0])
    assert collector["TELEMETRY_COLLECTOR_BATCH_SIZE"] == "9000"
    assert collector["TELEMETRY_POLL_INTERVAL_S"] == "0.1"
    assert collector["TELEMETRY_BUFFER_SIZE"] == "1000000"
    assert named(objects, "Deployment", "-collector")["spec"]["replicas"] == 7


def test_the_groups_of_logins_are_a_file_that_the_api_reads(tmp_path: Path) -> None:
    objects = render(CASES["centre-everything"])
    file = tmp_path / "groups.toml"
    file.write_text(named(objects, "ConfigMap", "-login")["data"]["groups.toml"])
    assert set(groups_file.parse(str(file))) == {
        Rights("gpu-admins", ("admin",)),
        Rights('/teams/"vision"', ("read",), ("vision", "vision-dev")),
    }
    pod = pod_of(objects, "api")["spec"]
    assert "TELEMETRY_OIDC_ISSUER" in variables(pod["containers"][0])
    assert not [name for name in variables(pod["initContainers"][0]) if "OIDC" in name]


@pytest.mark.parametrize("volume", [{}, {"hostPath": {"path": "/var/lib/state"}}])
def test_each_streamer_has_a_directory_of_its_own_for_what_it_has_begun(volume: dict[str, Any]) -> None:
    objects = render(merged(PASSWORD, {"streamer": {"state": {"volume": volume}}, "uploads": {"enabled": True}}))
    pod = pod_of(objects, "streamer")["spec"]
    streamer = pod["containers"][0]
    (mount,) = [one for one in streamer["volumeMounts"] if one["mountPath"] == variables(streamer)["TELEMETRY_STATE_DIR"]]
    assert not mount.get("readOnly")
    (state,) = [one for one in pod["volumes"] if one["name"] == mount["name"]]
    assert state == {"name": mount["name"], **(volume or {"emptyDir": {}})}
    (uploads,) = [one for one in pod_of(objects, "api")["spec"]["containers"] if one["name"] == "uploads"]
    assert variables(uploads)["TELEMETRY_STATE_DIR"].startswith("/tmp/")  # noqa: S108 - the pod's own
