"""The three ways to install, by the very `--set` paths a person types, and where their pods land."""

from __future__ import annotations

import base64
import fcntl
import functools
import platform
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import helm_python
import pytest
import yaml

from telemetry.settings import Settings
from telemetry.settings.sentinel_url import parse
from tests.chart.cases import CASES, CENTRE, EDGE, PASSWORD, SHARED
from tests.chart.rendering import (
    CHART,
    RELEASE,
    Loader,
    Object,
    merged,
    named,
    notes,
    pod_of,
    pods,
    render,
    values_of,
    variables,
)
from tests.chart.scheduler import Node, Taint, admits
from tests.chart.test_manifests import VERSIONS, check

ZONE = "topology.kubernetes.io/zone"
NODES = [
    Node(f"{kind}-{zone}", {"node-type": kind, ZONE: f"us-west-2{zone}"}, taints)
    for zone in "ab"
    for kind, taints in (("gpu", (Taint("nvidia.com/gpu", "present"),)), ("cpu", ()))
] + [
    Node("gpu-untainted", {"node-type": "gpu", ZONE: "us-west-2a"}),
    Node(
        "gpu-reserved", {"node-type": "gpu", ZONE: "us-west-2a"}, (Taint("nvidia.com/gpu"), Taint("team", "other", "NoExecute"))
    ),
    Node("control-plane", {ZONE: "us-west-2a"}, (Taint("node-role.kubernetes.io/control-plane"),)),
    Node("discouraged", {"node-type": "cpu", ZONE: "us-west-2b"}, (Taint("spot", effect="PreferNoSchedule"),)),
]
REQUIRED = "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0]"
GPU_NODES = ("streamer.nodeSelector.node-type=gpu", "streamer.tolerations[0].key=nvidia.com/gpu", "collector.enabled=false")
CENTRE_PARTS = ("api", "flower", "exporter", "migrations", "postgresql")
DATABASE = "postgresql.auth.password=pw"


def where(objects: list[Object], component: str) -> set[str]:
    return {node.name for node in NODES if admits(node, pod_of(objects, component)["spec"])}


def components(objects: list[Object]) -> set[str]:
    return {component for component, _ in pods(objects)} - {"smoke"}


@pytest.mark.parametrize("files", [(), (EDGE,)])
def test_one_cluster_streamers_land_on_gpu_nodes(files: tuple[str, ...]) -> None:
    objects = render(values_of(*files, sets=GPU_NODES))
    assert where(objects, "streamer") == {"gpu-a", "gpu-b", "gpu-untainted"}
    assert components(objects) == {"streamer"}


def test_two_releases_in_one_cluster_meet_at_the_redis_of_the_one_with_collectors() -> None:
    edge = render(values_of(sets=GPU_NODES), release="telemetry-edge")
    centre = render(values_of(sets=("streamer.enabled=false", DATABASE)), release="telemetry-central")
    assert components(edge) == {"streamer"}
    urls = [
        urlsplit(variables(pod_of(objects, name)["spec"]["containers"][0])["TELEMETRY_BROKER_URL"]).hostname
        for objects, name in ((edge, "streamer"), (edge, "smoke"), (centre, "collector"), (centre, "api"))
    ]
    redis = pod_of(centre, "redis")["metadata"]["labels"]
    for host in urls:
        (service,) = [each for each in centre if each["kind"] == "Service" and each["metadata"]["name"] == host]
        assert service["spec"]["selector"].items() <= redis.items()
    # Neither has an object that the other has, so each may be removed alone.
    assert not {(each["kind"], each["metadata"]["name"]) for each in edge} & {
        (each["kind"], each["metadata"]["name"]) for each in centre
    }
    assert "by the Service\ntelemetry-redis" in notes(values_of(sets=GPU_NODES))


def test_policies_let_the_streamers_of_one_release_to_the_redis_of_the_other() -> None:
    edge = render(values_of(sets=GPU_NODES), release="telemetry-edge")
    centre = render(values_of(sets=("streamer.enabled=false", DATABASE)), release="telemetry-central")
    for component in ("streamer", "smoke"):
        out = named(edge, "NetworkPolicy", f"-{component}")["spec"]["egress"]
        (rule,) = [each for each in out if each["ports"] == [{"port": 6379}]]
        assert rule["to"][0]["podSelector"]["matchLabels"].items() <= pod_of(centre, "redis")["metadata"]["labels"].items()
        within, *_ = named(centre, "NetworkPolicy", "-redis")["spec"]["ingress"][0]["from"]
        (expression,) = within["podSelector"]["matchExpressions"]
        assert pod_of(edge, component)["metadata"]["labels"][expression["key"]] in expression["values"]


def test_both_releases_may_take_the_password_from_one_secret() -> None:
    named_secret = "redis.existingSecret=telemetry-central-telemetry-pipeline-broker"  # noqa: S105
    edge = render(values_of(sets=(*GPU_NODES, named_secret)), release="telemetry-edge")
    sets = ("streamer.enabled=false", DATABASE, "redis.password=word")
    centre = render(values_of(sets=sets), release="telemetry-central")
    (volume,) = [each for each in pod_of(edge, "streamer")["spec"]["volumes"] if each["name"] == "secrets"]
    (source,) = volume["projected"]["sources"]
    data = named(centre, "Secret", source["secret"]["name"])["data"]
    assert base64.b64decode(data[source["secret"]["items"][0]["key"]]) == b"word"
    assert not [each for each in edge if each["kind"] == "Secret"]


def test_a_placeholder_is_not_passed_over() -> None:
    assert "placeholder" in notes(values_of(EDGE))


@pytest.mark.parametrize("files", [(), (CENTRE,)])
def test_one_cluster_collectors_land_on_cpu_nodes(files: tuple[str, ...]) -> None:
    sets = ("collector.nodeSelector.node-type=cpu", "streamer.enabled=false", DATABASE)
    objects = render(values_of(*files, sets=sets))
    for component in ("collector", *CENTRE_PARTS, *([] if files else ["redis"])):
        assert where(objects, component) == {"cpu-a", "cpu-b", "discouraged"}, component
    assert "streamer" not in components(objects)


def test_one_release_may_hold_both() -> None:
    objects = render(values_of(sets=(*GPU_NODES[:2], "collector.nodeSelector.node-type=cpu", DATABASE)))
    assert where(objects, "streamer") == {"gpu-a", "gpu-b", "gpu-untainted"}
    assert where(objects, "collector") == {"cpu-a", "cpu-b", "discouraged"}


@pytest.mark.parametrize("told", [("values[0]",), ("key", "operator", "values[0]")])
def test_two_zones_by_node_affinity(told: tuple[str, ...]) -> None:
    value = {"key": ZONE, "operator": "In"}

    def sets(component: str, zone: str) -> tuple[str, ...]:
        return tuple(f"{component}.{REQUIRED}.{name}={value.get(name, zone)}" for name in told)

    edge = render(values_of(EDGE, sets=sets("streamer", "us-west-2a")))
    assert where(edge, "streamer") == {"gpu-a", "gpu-untainted"}
    centre = render(values_of(CENTRE, sets=(*sets("collector", "us-west-2b"), DATABASE)))
    assert where(centre, "collector") == {"cpu-b", "discouraged"}
    for component in CENTRE_PARTS:
        assert where(centre, component) == {"cpu-b", "discouraged"}, component


@pytest.mark.parametrize("key", ["nodeSelector.x=true", "tolerations[0].value=true", "podLabels.x=1", "podAnnotations.x=true"])
def test_what_reads_as_a_number_or_as_true_is_still_text(key: str) -> None:
    sets = (f"streamer.{key}", "streamer.tolerations[0].key=gpu", "commonLabels.x=1", f"streamer.{REQUIRED}.values[0]=true")
    objects = render(values_of(sets=(*sets, f"streamer.{REQUIRED}.key=x", DATABASE)))
    check(objects, VERSIONS[-1])
    assert all(each["metadata"]["labels"]["x"] == "1" for each in objects)


def test_labels_of_ones_own_do_not_change_whom_selectors_find() -> None:
    name = "app\\.kubernetes\\.io/component"
    objects = render(values_of(sets=(f"commonLabels.{name}=x", f"collector.podLabels.{name}=y", DATABASE)))
    assert pod_of(objects, "collector")["metadata"]["labels"]["app.kubernetes.io/component"] == "collector"


def test_a_variable_given_again_replaces_that_of_the_chart() -> None:
    sets = ("streamer.extraEnv[0].name=TELEMETRY_BATCH_SIZE", "streamer.extraEnv[0].value=7", DATABASE)
    (container, _) = pod_of(render(values_of(sets=sets)), "streamer")["spec"]["containers"]
    assert [each["value"] for each in container["env"] if each["name"] == "TELEMETRY_BATCH_SIZE"] == ["7"]


def test_replicas_on_the_files_of_their_nodes_keep_apart() -> None:
    objects = render(values_of(sets=("streamer.replicaCount=2", DATABASE)))
    (rule,) = pod_of(objects, "streamer")["spec"]["affinity"]["podAntiAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    assert rule["topologyKey"] == "kubernetes.io/hostname"
    assert rule["labelSelector"]["matchLabels"].items() <= pod_of(objects, "streamer")["metadata"]["labels"].items()


@pytest.mark.parametrize("kind", ["DaemonSet", "Deployment", "StatefulSet"])
def test_files_that_all_see_are_one_edge_with_one_beat(kind: str) -> None:
    objects = render(values_of(sets=(f"streamer.kind={kind}", "streamer.files.existingClaim=dumps", DATABASE)))
    told = [variables(pod_of(objects, each)["spec"]["containers"][0])["TELEMETRY_EDGE"] for each in ("streamer", "beat")]
    assert told == ["local/t-telemetry-pipeline"] * 2
    assert len(pod_of(objects, "streamer")["spec"]["containers"]) == 1


@pytest.mark.parametrize("uploads", [True, False])
def test_the_api_takes_uploads_where_a_streamer_reads_them(uploads: bool) -> None:
    spec = pod_of(render(merged(PASSWORD, {"uploads": {"enabled": uploads}})), "api")["spec"]
    api, *others = spec["containers"]
    assert variables(api)["TELEMETRY_UPLOADS"] == str(uploads).lower()
    assert [each["name"] for each in others] == (["uploads", "uploads-beat"] if uploads else [])
    for each in (api, others[0]) if uploads else ():
        assert [m["name"] for m in each["volumeMounts"] if m["mountPath"] == "/spool"] == ["spool"]
    if uploads:
        assert variables(api)["TELEMETRY_SPOOL_DIR"] == "/spool"
        assert variables(others[0])["TELEMETRY_EDGE"] == variables(others[1])["TELEMETRY_EDGE"] == "central/uploads"
        assert [each for each in spec["volumes"] if each["name"] == "spool"] == [
            {"name": "spool", "persistentVolumeClaim": {"claimName": "t-telemetry-pipeline-uploads"}}
        ]


def test_two_clusters_meet_at_a_redis_with_tls() -> None:
    ca = "-----BEGIN CERTIFICATE-----"
    sets = (
        "externalRedis.enabled=true",
        "externalRedis.host=redis.example.net",
        "externalRedis.port=6390",
        "externalRedis.database=3",
        "externalRedis.password=p@ss/word",
        "externalRedis.tls.enabled=true",
        f"externalRedis.tls.caCert={ca}",
    )
    edge, centre = render(values_of(EDGE, sets=sets)), render(values_of(CENTRE, sets=(*sets, DATABASE)))
    assert components(edge) == {"streamer"}
    assert components(centre) == {"collector", "api", "flower", "exporter", "migrations", "postgresql"}
    for objects, component in ((edge, "streamer"), (centre, "collector"), (centre, "api"), (centre, "flower")):
        for container in pod_of(objects, component)["spec"]["containers"]:
            told = variables(container)
            assert told["TELEMETRY_BROKER_URL"] == "rediss://redis.example.net:6390/3"
            assert told["TELEMETRY_BROKER_CA"] == "/run/secrets/telemetry/broker-ca.crt"
            assert told["TELEMETRY_BROKER_PASSWORD_FILE"] == "/run/secrets/telemetry/broker-password"  # noqa: S105
            assert "TELEMETRY_BROKER_SKIP_VERIFY" not in told
        secret = named(objects, "Secret", "-broker")["data"]
        assert {key: base64.b64decode(value).decode() for key, value in secret.items()} == {
            "redis-password": "p@ss/word",
            "ca.crt": ca,
        }
    secret = named(centre, "Secret", "-database")["data"]
    assert base64.b64decode(secret["password"]) == b"pw"


def test_sentinels_lead_to_the_broker() -> None:
    sentinel = {"hosts": ["s1", "s2:26380", "[2001:db8::5]:26379"], "service": "telemetry", "existingSecret": "watch"}
    external = {
        "enabled": True,
        "host": "",
        "username": "a b",
        "port": 6379,
        "database": 3,
        "tls": {"enabled": False},
        "sentinel": sentinel,
    }
    edge = render(merged(values_of(EDGE), {"externalRedis": external, "networkPolicy": {"enabled": True}}))
    keda = {"collector": {"keda": {"enabled": True}}}
    centre = render(merged(values_of(CENTRE, sets=(DATABASE,)), {"externalRedis": external, **keda}))
    for objects, component in ((edge, "streamer"), (centre, "collector"), (centre, "api"), (centre, "flower")):
        pod = pod_of(objects, component)["spec"]
        told = variables(pod["containers"][0])
        url = "sentinel://a%20b@s1,s2:26380,[2001:db8::5]:26379/telemetry/3"
        assert told["TELEMETRY_BROKER_URL"] == url
        assert parse(url).sentinels == (("s1", 26379), ("s2", 26380), ("2001:db8::5", 26379))
        assert told["TELEMETRY_SENTINEL_PASSWORD_FILE"] == "/run/secrets/telemetry/sentinel-password"  # noqa: S105
        (volume,) = [each for each in pod["volumes"] if each["name"] == "secrets"]
        items = [{"key": "sentinel-password", "path": "sentinel-password"}]
        assert {"secret": {"name": "watch", "items": items}} in volume["projected"]["sources"]
    (policy,) = [each for each in edge if each["kind"] == "NetworkPolicy" and each["metadata"]["name"].endswith("-streamer")]
    assert [{"port": 6379}, {"port": 26379}, {"port": 26380}] in [rule["ports"] for rule in policy["spec"]["egress"]]
    (scaled,) = [each for each in centre if each["kind"] == "ScaledObject"]
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["type"] == "redis-sentinel"
    assert trigger["metadata"]["addresses"] == "s1:26379,s2:26380,[2001:db8::5]:26379"
    assert trigger["metadata"]["sentinelMaster"] == "telemetry"
    (trust,) = [each for each in centre if each["kind"] == "TriggerAuthentication"]
    asked = {"parameter": "sentinelPassword", "name": "watch", "key": "sentinel-password"}
    assert asked in trust["spec"]["secretTargetRef"]


def told(objects: list[Object], component: str, container: int = 0) -> Settings:
    """The settings of a container, without what it reads from files."""
    given = variables(pod_of(objects, component)["spec"]["containers"][container])
    plain = {name: value.replace("$(EDGE_NODE)", "n") for name, value in given.items() if value}
    return Settings.load({name: value for name, value in plain.items() if not name.endswith("_FILE")})


def test_several_brokers_each_with_its_collectors() -> None:
    edge, centre = render(CASES["edge-brokers"]), render(CASES["centre-brokers"])
    urls = {
        "north": "rediss://telemetry@n.example.org:6380/0",
        "south": "sentinels://telemetry@s1,s2:26380/south/0",
        "west": "rediss://telemetry@w.example.org:6380/0",
    }
    for objects, component in ((edge, "streamer"), (centre, "api"), (centre, "exporter"), (centre, "flower")):
        settings = told(objects, component)
        assert {name: one.broker_url for name, one in settings.brokers.items()} == urls
        assert settings.broker_drained == ("west",)
    assert {told(edge, "streamer").of_edge(f"c/{n}").broker_url for n in range(30)} == {urls["north"], urls["south"]}
    assert told(centre, "flower").broker_name == "north"
    # The streamer of uploads is an edge like any other.
    assert not told(centre, "api", 1).broker_name
    serving = {}
    for each in centre:
        if each["kind"] == "Deployment" and "-collector-" in each["metadata"]["name"]:
            name = variables(each["spec"]["template"]["spec"]["containers"][0])["TELEMETRY_BROKER_NAME"]
            serving[each["metadata"]["name"]] = name
            assert each["spec"]["selector"]["matchLabels"]["telemetry/broker"] == name
    # One that is drained is worked off.
    assert sorted(serving.values()) == sorted(urls)
    scaled = {each["spec"]["scaleTargetRef"]["name"] for each in centre if each["kind"] == "ScaledObject"}
    assert scaled == serving.keys()
    text = notes(CASES["centre-brokers"])
    assert "Brokers: north, south, west (edges leave it)." in text
    bound = merged(CASES["edge-brokers"], {"externalRedis": {"brokerName": "south"}})
    assert told(render(bound), "streamer").broker_url == urls["south"]


def test_a_database_of_several_hosts_with_a_replica_to_read_from() -> None:
    database = {"enabled": True, "host": "pg1", "otherHosts": ["pg2", "2001:db8::5"], "readHost": "pg2", "existingSecret": "s"}
    objects = render(merged(values_of(CENTRE), {"externalPostgresql": database}))
    for component in ("collector", "api", "exporter"):
        told = variables(pod_of(objects, component)["spec"]["containers"][0])
        assert told["TELEMETRY_DATABASE_URL"] == (
            "postgresql://telemetry@pg1:5432,pg2:5432,[2001:db8::5]:5432/telemetry?sslmode=require"
        )
        assert told["TELEMETRY_DATABASE_READ_URL"] == "postgresql://telemetry@pg2:5432/telemetry?sslmode=require"
        given = {name: told[name] for name in ("TELEMETRY_DATABASE_URL", "TELEMETRY_DATABASE_READ_URL")}
        assert "host=pg1,pg2,2001:db8::5&port=5432,5432,5432" in Settings.load(given).database_url


def test_an_existing_secret_and_an_unchecked_certificate() -> None:
    sets = (
        "externalRedis.tls.skipVerify=true",
        "externalRedis.auth.enabled=true",
        "externalRedis.auth.existingSecret=mine",
        "externalRedis.auth.existingSecretPasswordKey=word",
    )
    objects = render(values_of(EDGE, sets=sets))
    assert not [each for each in objects if each["kind"] == "Secret"]
    (volume,) = [each for each in pod_of(objects, "streamer")["spec"]["volumes"] if each["name"] == "secrets"]
    assert volume["projected"]["sources"] == [
        {"secret": {"name": "mine", "items": [{"key": "word", "path": "broker-password"}]}}
    ]
    assert variables(pod_of(objects, "streamer")["spec"]["containers"][0])["TELEMETRY_BROKER_SKIP_VERIFY"] == "true"


@pytest.mark.parametrize(
    ("taint", "toleration", "tolerated"),
    [
        (Taint("a", "x"), {"key": "a", "value": "x"}, True),
        (Taint("a", "x"), {"key": "a"}, False),
        (Taint("a"), {"key": "a"}, True),
        (Taint("a", "x"), {"key": "a", "operator": "Exists"}, True),
        (Taint("a", "x"), {"operator": "Exists"}, True),
        (Taint("a", "x", "NoExecute"), {"key": "a", "operator": "Exists", "effect": "NoSchedule"}, False),
        (Taint("a", "x", "PreferNoSchedule"), {}, True),
    ],
)
def test_the_scheduler_of_these_tests(taint: Taint, toleration: dict[str, Any], tolerated: bool) -> None:
    spec = {"tolerations": [toleration] if toleration else []}
    assert admits(Node("n", {}, (taint,)), spec) is tolerated


@functools.cache
def helm(version: str) -> str:
    """The binary of a version."""
    # Workers of xdist come here at once.
    with (Path(tempfile.gettempdir()) / "telemetry-tests-helm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = subprocess.run([CHART.parents[1] / "scripts" / "helm", version], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.fail(found.stderr)
    return found.stdout.strip()


@pytest.mark.skipif((platform.system(), platform.machine()) != ("Linux", "x86_64"), reason="scripts/helm has no other")
@pytest.mark.parametrize("version", ["3", "4"])
def test_helm_itself_renders_the_same(version: str) -> None:
    sets = [f"--set={each}" for each in (*GPU_NODES, f"streamer.{REQUIRED}.values[0]=us-west-2a")]
    command = [helm(version), "template", RELEASE, str(CHART), "--namespace", "gpu", "-f", str(CHART / EDGE), *sets]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    told = [each for each in yaml.load_all(done.stdout, Loader) if each]
    ours = render(values_of(EDGE, sets=tuple(each.removeprefix("--set=") for each in sets)))

    def key(each: Object) -> tuple[str, str]:
        return each["kind"], each["metadata"]["name"]

    assert sorted(told, key=key) == sorted(ours, key=key)


@pytest.mark.skipif((platform.system(), platform.machine()) != ("Linux", "x86_64"), reason="scripts/helm has no other")
@pytest.mark.parametrize("version", ["3", "4"])
@pytest.mark.parametrize("case", CASES)
def test_helm_itself_takes_each_case(version: str, case: str, tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(CASES[case]))
    for command in (["lint", "--strict"], ["template"]):
        said = subprocess.run(
            [helm(version), *command, str(CHART), "-f", str(tmp_path / "values.yaml")],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert said.returncode == 0, said.stdout + said.stderr


def test_a_redis_alone_serves_centre_and_edge_of_its_namespace() -> None:
    shared = render(values_of(SHARED, sets=("redis.existingSecret=broker",)), release="telemetry-shared")
    own = ("redis.existingSecret=broker", "redis.enabled=false")
    centre = render(values_of(sets=("streamer.enabled=false", DATABASE, *own)), release="telemetry-central")
    assert components(shared) == {"redis"}
    assert "redis" not in components(centre)
    host = urlsplit(variables(pod_of(centre, "collector")["spec"]["containers"][0])["TELEMETRY_BROKER_URL"]).hostname
    (service,) = [each for each in shared if each["kind"] == "Service" and each["metadata"]["name"] == host]
    assert service["spec"]["selector"].items() <= pod_of(shared, "redis")["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (("redis.enabled=true", "externalRedis.enabled=true", "externalRedis.host=r"), "a release has one broker"),
        (("redis.service.type=LoadBalancer",), "the Redis has no password"),
    ],
)
def test_a_redis_that_contradicts_itself_or_is_open_to_all_is_refused(sets: tuple[str, ...], said: str) -> None:
    with pytest.raises(helm_python.HelmError, match=said):
        render(values_of(sets=(DATABASE, *sets)))
