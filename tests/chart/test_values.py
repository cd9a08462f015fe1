"""values.yaml itself: checked, documented, and without a key that does nothing."""

from __future__ import annotations

import functools
import json
import runpy
from collections.abc import Iterator
from typing import Any

import helm_python
import pytest

from tests.chart.cases import CASES, CENTRE, EDGE, PASSWORD
from tests.chart.rendering import CHART, merged, render, texts, values_of

TOOL = runpy.run_path(str(CHART.parents[1] / "scripts" / "chart"))
# What the values of a key may be instead, where any other text will not do.
OTHER: dict[str, Any] = {
    "api.enabled": False,
    "flower.enabled": False,
    "exporter.enabled": False,
    "streamer.kind": "DaemonSet",
    "streamer.maxUnavailable": 1,
    "image.pullPolicy": "Always",
    "api.service.type": "NodePort",
    "externalPostgresql.sslMode": "disable",
    "collector.terminationGracePeriodSeconds": 120,
    "streamer.files.supplementalGroups": [44],
    "streamer.files.volume": {"emptyDir": {}},
    "uploads.persistence.accessMode": "ReadWriteOnce",
    "api.login.groups": {"other": {"scopes": ["read"]}},
    "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "extra"}}],
}
TOLERATION = {"key": "a", "operator": "Exists"}
LISTS: dict[str, list[Any]] = {
    "extraEnv": [{"name": "A", "value": "b"}],
    "extraVolumes": [{"name": "v", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "v", "mountPath": "/v"}],
    "tolerations": [TOLERATION],
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
    "tls": [{"secretName": "tls"}],
    "groups": [{"name": "g", "rules": []}],
    "pullSecrets": [{"name": "s"}],
    "parentRefs": [{"name": "g"}],
    "extraEgress": [{"to": []}],
    "apiFrom": [{"podSelector": {}}],
    "metricsFrom": [{"podSelector": {}}],
}


def leaves(values: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Each key that has no keys of the chart's own below it."""
    for key, value in values.items():
        name = f"{path}.{key}".lstrip(".")
        if isinstance(value, dict) and value and key not in TOOL["FOREIGN"]:
            yield from leaves(value, name)
        else:
            yield name, value


def other(path: str, value: Any) -> Any:
    """A value that a key does not have by itself."""
    key = path.rpartition(".")[2]
    if path in OTHER:
        return OTHER[path]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return f"{value}x"
    if isinstance(value, list):
        return [*value, *LISTS.get(key, ["x"])]
    return {**value, "other": "x"}


LEAVES = dict(leaves(TOOL["yaml"].safe_load((CHART / "values.yaml").read_text())))
EXTERNAL = {"enabled": True, "host": "h"}
SENTINELS = {"enabled": True, "sentinel": {"hosts": ["s"]}}
# What must stand beside a key for it to matter.
ALONE: dict[str, dict[str, Any]] = {
    "externalRedis.tls.enabled": {"externalRedis": EXTERNAL},
    "externalRedis.tls.clientCertificate": {"externalRedis": {**EXTERNAL, "tls": {"enabled": True, "existingSecret": "s"}}},
    "externalRedis.sentinel.service": {"externalRedis": SENTINELS},
    "externalRedis.sentinel.existingSecret": {"externalRedis": SENTINELS},
    "externalRedis.sentinel.existingSecretPasswordKey": {
        "externalRedis": merged(SENTINELS, {"sentinel": {"existingSecret": "s"}})
    },
    "externalPostgresql.password": {"externalPostgresql": EXTERNAL},
    "externalPostgresql.otherHosts": {"externalPostgresql": {**EXTERNAL, "password": "x"}},
    "externalPostgresql.readHost": {"externalPostgresql": {**EXTERNAL, "password": "x"}},
    "redis.existingSecretPasswordKey": {"redis": {"existingSecret": "s"}},
    "postgresql.auth.existingSecretPasswordKey": {"postgresql": {"auth": {"existingSecret": "s"}}},
    "metrics.dashboards.enabled": {"metrics": {"dashboards": {"files": {"a.json": "{}"}}}},
    "httpRoute.enabled": {"httpRoute": {"parentRefs": [{"name": "g"}]}},
    "ingress.tls": {"ingress": {"enabled": True}},
}


def nested(path: str, value: Any) -> dict[str, Any]:
    for key in reversed(path.split(".")):
        value = {key: value}
    return value  # type: ignore[no-any-return]


@functools.cache
def outcome_of(text: str) -> list[str]:
    """What is rendered of values in JSON, or what is said instead. Most keys are compared with the same few cases."""
    try:
        return texts(json.loads(text), revision=2)
    except helm_python.HelmError as error:
        return [str(error)]


def outcome(values: dict[str, Any]) -> list[str]:
    """What is rendered, or what is said instead."""
    return outcome_of(json.dumps(values))


def nearest(path: str) -> list[dict[str, Any]]:
    """The cases, those first that say most about what is around a key: there it is most likely to matter."""
    parents = path.split(".")[:-1]

    def depth(case: dict[str, Any]) -> int:
        values: Any = case
        for level, key in enumerate(parents):
            if not isinstance(values, dict) or key not in values:
                return level
            values = values[key]
        return len(parents)

    return sorted(CASES.values(), key=depth, reverse=True)


@pytest.mark.parametrize("path", [path for path in LEAVES if path != "global"])
def test_every_key_does_something(path: str) -> None:
    changed = nested(path, other(path, LEAVES[path]))
    for case in nearest(path):
        before = merged(case, ALONE.get(path, {}))
        after = merged(before, changed)
        if before == after or (path.endswith((".keda.enabled", ".autoscaling.enabled")) and case != PASSWORD):
            continue
        if outcome(before) != outcome(after):
            return
    pytest.fail(f"no object changes with {path}")


def test_the_schema_and_the_page_of_values_are_up_to_date() -> None:
    for path, text in TOOL["files"]().items():
        assert path.read_text() == text, f"run scripts/chart: {path.name} is stale"


def test_every_key_is_documented() -> None:
    told = dict(TOOL["documented"]((CHART / "values.yaml").read_text()))
    foreign = tuple(
        f".{name}." for name in (TOOL["FOREIGN"] | TOOL["JUDGED"].keys()) - {"podSecurityContext", "containerSecurityContext"}
    )
    assert not [path for path, comment in told.items() if not comment and not any(name in f".{path}" for name in foreign)]


@pytest.mark.parametrize(
    "path", ["streamer.replicaCont", "collector.config.batchSise", "externalRedis.tls.skipverify", "nothing"]
)
def test_a_misspelt_key_is_named_with_its_path(path: str) -> None:
    with pytest.raises(helm_python.HelmError) as told:
        render(merged(PASSWORD, nested(path, 1)))
    *parents, key = path.split(".")
    assert key in str(told.value)
    assert "/".join(["", *parents]) in str(told.value)


def brokers(*some: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"externalRedis": {"enabled": True, "brokers": list(some), **more}, **PASSWORD}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "postgresql.auth.password"),
        ({"externalPostgresql": {"enabled": True, "password": "x"}}, "externalPostgresql.host"),
        ({"externalRedis": {"enabled": True}, **PASSWORD}, "externalRedis.host"),
        (
            {"externalRedis": {"enabled": True, "host": "h", "auth": {"enabled": True}}, **PASSWORD},
            "externalRedis.auth.existingSecret",
        ),
        ({"collector": {"autoscaling": {"enabled": True}, "keda": {"enabled": True}}, **PASSWORD}, "turn one off"),
        ({"httpRoute": {"enabled": True}, **PASSWORD}, "httpRoute.parentRefs"),
        ({"api": {"login": {"clientId": "c"}}, **PASSWORD}, "api.login.issuer is empty"),
        ({"api": {"login": {"issuer": "https://l"}}, **PASSWORD}, "set api.login.clientId"),
        ({"api": {"login": {"issuer": "https://l", "clientId": "c"}}, **PASSWORD}, "api.login."),
        ({"api": {"login": {"issuer": "login.example.org"}}, **PASSWORD}, "api/login/issuer"),
        ({"api": {"login": {"groups": {"a": {"scope": ["read"]}}}}, **PASSWORD}, "api/login/groups/a"),
        ({"flower": {"urlPrefix": "/flower"}, **PASSWORD}, "flower.auth.existingSecret"),
        ({"flower": {"urlPrefix": "/data", "auth": {"existingSecret": "f"}}, **PASSWORD}, "the page has that path itself"),
        ({"externalRedis": {"host": "h"}, **PASSWORD}, "externalRedis.enabled is false"),
        ({"externalRedis": {"sentinel": {"hosts": ["s"]}}, **PASSWORD}, "externalRedis.enabled is false"),
        ({"externalRedis": {**EXTERNAL, "sentinel": {"hosts": ["s"]}}, **PASSWORD}, "are both set"),
        ({"externalRedis": {**EXTERNAL, "auth": {"existingSecret": "s"}}, **PASSWORD}, "externalRedis.auth.enabled is false"),
        (
            {"externalRedis": {**EXTERNAL, "tls": {"enabled": True, "clientCertificate": True}}, **PASSWORD},
            "externalRedis.tls.existingSecret",
        ),
        ({"externalPostgresql": {"host": "h"}, **PASSWORD}, "externalPostgresql.enabled is false"),
        (
            {"externalPostgresql": {**EXTERNAL, "password": "x", "sslMode": "verify-full"}, **PASSWORD},
            "externalPostgresql.caCert",
        ),
        ({"uploads": {"enabled": True, "persistence": {"accessMode": "ReadWriteOnce"}}, **PASSWORD}, "api.replicaCount=1"),
        # A number is no password: 0123 and 1e9 would be others.
        ({"postgresql": {"auth": {"password": 123456789}}}, "postgresql/auth/password"),
        ({"image": {"tag": 1.1}, **PASSWORD}, "image/tag"),
        ({"collector": {"config": {"pollInterval": 61}}, **PASSWORD}, "pollInterval"),
        ({"streamer": {"kind": "Job"}, **PASSWORD}, "streamer/kind"),
        ({"collector": {"terminationGracePeriodSeconds": 600}, **PASSWORD}, "terminationGracePeriodSeconds"),
        ({"externalRedis": {**EXTERNAL, "host": "redis://h:6379/0"}, **PASSWORD}, "externalRedis/host"),
        ({"externalRedis": {**EXTERNAL, "host": "h:6379"}, **PASSWORD}, "externalRedis/host"),
        ({"collector": {"enabled": False}, "redis": {"serviceName": ""}}, "set redis.serviceName"),
        ({"collector": {"resources": {"limits": {"memory": "1Gb"}}}, **PASSWORD}, "collector/resources/limits/memory"),
        ({"streamer": {"beatResources": {"requests": {"cpu": "2 GB"}}}, **PASSWORD}, "streamer/beatResources/requests/cpu"),
        ({"redis": {"persistence": {"size": "2GB"}}, **PASSWORD}, "redis/persistence/size"),
        ({"redis": {"maxmemory": "384Mi"}, **PASSWORD}, "redis/maxmemory"),
        (
            {"api": {"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "768Mi"}}}, **PASSWORD},
            "api.resources.requests.memory is 1Gi, above api.resources.limits.memory, which is 768Mi",
        ),
        (
            {"collector": {"resources": {"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}}}, **PASSWORD},
            "collector.resources.requests.cpu is 2, above collector.resources.limits.cpu, which is 1500m",
        ),
        (
            {"collector": {"autoscaling": {"enabled": True, "minReplicas": 11}}, **PASSWORD},
            "collector.autoscaling.minReplicas is 11, above collector.autoscaling.maxReplicas, which is 10",
        ),
        (
            {"collector": {"keda": {"enabled": True, "minReplicas": 21}}, **PASSWORD},
            "collector.keda.minReplicas is 21, above collector.keda.maxReplicas, which is 20",
        ),
        ({"streamer": {"tolerations": [{"key": "a", "effect": "NoScedule"}]}, **PASSWORD}, "streamer/tolerations/0/effect"),
        ({"scheduling": {"tolerations": [{"key": "a", "operator": "In"}]}, **PASSWORD}, "scheduling/tolerations/0/operator"),
        (
            {"api": {"topologySpreadConstraints": [{"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}]}, **PASSWORD},
            "topologyKey",
        ),
        ({"streamer": {"files": {"hostPath": "relative"}}, **PASSWORD}, "streamer/files/hostPath"),
        ({"streamer": {"files": {"mountPath": "data"}}, **PASSWORD}, "streamer/files/mountPath"),
        ({"streamer": {"files": {"patterns": ["/data/*.csv"]}}, **PASSWORD}, "streamer/files/patterns/0"),
        ({"streamer": {"record": {"scrape": "node:9400"}}, **PASSWORD}, "streamer/record/scrape"),
        ({"streamer": {"record": {"tool": "rocm-smi"}}, **PASSWORD}, "streamer/record/tool"),
        (
            {"streamer": {"record": {"tool": "nvidia-smi", "scrape": "http://h:1/"}}, **PASSWORD},
            "streamer.record.scrape and streamer.record.tool exclude each other",
        ),
        (
            {"streamer": {"record": {"enabled": True}, "files": {"existingClaim": "dumps"}}, **PASSWORD},
            "replicas that share streamer.files are one edge",
        ),
        ({"externalRedis": {"brokers": [{"name": "a", "host": "h"}]}, **PASSWORD}, "externalRedis.enabled is false"),
        (brokers({"name": "a", "host": "h"}, host="h"), "set those to nothing"),
        (brokers({"name": "a", "host": "h"}, {"name": "a", "host": "i"}), "names a twice"),
        (brokers({"name": "a"}), "a has neither host nor sentinel.hosts"),
        (brokers({"name": "a", "host": "h", "sentinel": {"hosts": ["s"]}}), "a has a host and sentinel.hosts"),
        (
            brokers({"name": "a", "host": "h"}, brokerName="b"),
            "externalRedis.brokerName names b, and externalRedis.brokers has a",
        ),
        (brokers({"name": "a", "host": "h"}, drained=["b"]), "externalRedis.drained names b"),
        (brokers({"name": "a", "host": "h"}, drained=["a"]), "leave one for the edges"),
        (brokers({"name": "A_1", "host": "h"}), "externalRedis/brokers/0/name"),
        (brokers({"name": "a", "host": "redis://h"}), "externalRedis/brokers/0/host"),
        ({"externalRedis": {**EXTERNAL, "brokerName": "a"}, **PASSWORD}, "externalRedis.brokers has none"),
        ({"flower": {"brokerName": "a"}, **PASSWORD}, "flower.brokerName names a"),
        ({"image": {"tag": "0.1 0"}, **PASSWORD}, "image/tag"),
        ({"image": {"edgeDigest": "sha256:1"}, **PASSWORD}, "image/edgeDigest"),
        ({"fullnameOverride": "A b", **PASSWORD}, "fullnameOverride"),
        ({"ingress": {"enabled": True, "hosts": ["https://h"]}, **PASSWORD}, "ingress/hosts/0"),
        ({"externalRedis": {**EXTERNAL, "host": "user@h"}, **PASSWORD}, "externalRedis/host"),
        ({"externalRedis": {**EXTERNAL, "host": "[2001:db8::5]:6379"}, **PASSWORD}, "externalRedis/host"),
        ({"externalPostgresql": {**EXTERNAL, "password": "x", "host": "postgresql://h"}}, "externalPostgresql/host"),
        ({"externalPostgresql": {**EXTERNAL, "password": "x", "host": "h/telemetry"}}, "externalPostgresql/host"),
    ],
)
def test_values_that_cannot_work_are_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(helm_python.HelmError) as told:
        render(values)
    assert says in str(told.value)
    assert "smoke.yaml" not in str(told.value)


@pytest.mark.parametrize(
    "resources", [{"requests": {"memory": "512Mi"}, "limits": {"memory": "1Gi"}}, {"limits": {"cpu": 0.5}}]
)
def test_quantities_of_every_notation_are_taken(resources: dict[str, Any]) -> None:
    resources = merged({"requests": {"cpu": "1e-1", "ephemeral-storage": "0.5G"}, "limits": {"cpu": "150m"}}, resources)
    assert render(merged(PASSWORD, {"collector": {"resources": resources}}))


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("2001:db8::5", "[2001:db8::5]"),
        ("[2001:db8::5]", "[2001:db8::5]"),
        ("::ffff:10.0.0.5", "[::ffff:10.0.0.5]"),
        ("10.0.0.5", "10.0.0.5"),
        ("redis-0.redis_service.example.net.", "redis-0.redis_service.example.net."),
    ],
)
def test_a_host_may_be_any_address_and_is_one_in_the_urls(host: str, shown: str) -> None:
    external = {"enabled": True, "host": host}
    keda = {"collector": {"keda": {"enabled": True}}}
    rendered = "\n".join(texts({"externalRedis": external, "externalPostgresql": {**external, "password": "x"}, **keda}))
    assert f"redis://{shown}:6379/0" in rendered
    assert f"postgresql://telemetry@{shown}:5432/telemetry" in rendered
    assert f'address: "{shown}:6379"' in rendered


@pytest.mark.parametrize("values", [PASSWORD, values_of(EDGE), merged(values_of(CENTRE), PASSWORD)])
def test_lint_has_nothing_to_say(values: dict[str, Any]) -> None:
    report = helm_python.lint(CHART, values, strict=True)
    assert not report["errors"]
    assert [each["error"] for each in report["messages"]] == ["icon is recommended"]
