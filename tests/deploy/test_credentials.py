"""Credentials that a deployment hands out: each edge its own, in Secrets alone, and their rotation."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from telemetry.deploy import certificates
from telemetry.trust.credentials import Maker
from tests.chart.redis_pod import running
from tests.deploy.conftest import Stage

SITES = ("--edge-context", "gpu-1", "--edge-context", "gpu-2", "--central-context", "main", "--shared-context", "main")
ALL = (*SITES, "--redis-host", "redis.internal")
ONE = ("--edge-context", "gpu-1", *ALL[4:])
GIVEN = {"TELEMETRY_DEPLOY_DB_PASSWORD": "d4tabase"}
SECRETS = "/api/v1/namespaces/telemetry/secrets"
JOBS = "/apis/batch/v1/namespaces/telemetry/jobs"


def held(stage: Stage, context: str, name: str) -> dict[str, str]:
    """What a Secret holds; nothing where it is not there."""
    data = stage.clusters[context].objects.get(f"{SECRETS}/{name}", {}).get("data", {})
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def jobs(stage: Stage) -> list[dict[str, Any]]:
    """The Jobs by which the centre was told, in their order."""
    found = [item for path, item in stage.clusters["main"].objects.items() if path.startswith(JOBS) and "credentials" in path]
    return sorted(found, key=lambda each: int(each["metadata"]["resourceVersion"]))


def declared(stage: Stage) -> list[list[str]]:
    """What the centre was told each time."""
    commands = [each["spec"]["template"]["spec"]["containers"][0]["command"] for each in jobs(stage)]
    return [command[command.index("180") + 1 :] for command in commands]


def upgraded(stage: Stage) -> dict[str, dict[str, Any]]:
    """The latest values that were made, by release and context."""
    latest = {}
    for call in stage.called("upgrade"):
        words = call["arguments"]
        latest[f"{words[2].removeprefix('telemetry-')} {words[words.index('--kube-context') + 1]}"] = call["files"][1]
    return latest


def test_each_edge_gets_credentials_of_its_own_at_a_redis_that_is_brought(stage: Stage) -> None:
    done = stage.run("deploy-all", *ALL, **GIVEN)
    assert done.returncode == 0, done.stdout + done.stderr
    maker = Maker(held(stage, "main", "telemetry-trust")["trust-secret"], "telemetry")
    users = held(stage, "main", "telemetry-broker-users")["users.acl"]
    for name in ("gpu-1", "gpu-2"):
        given = held(stage, name, "telemetry-edge")
        assert given == {"redis-password": maker.password(name, 1), "signing-key": maker.key(name, 1).text}
        (line,) = [each for each in users.splitlines() if each.startswith(f"user telemetry.edge.{name} ")]
        assert f"#{sha256(given['redis-password'].encode()).hexdigest()}" in line
        assert not {"telemetry-broker", "telemetry-trust"} & {path.rpartition("/")[2] for path in stage.clusters[name].objects}
        values = upgraded(stage)[f"edge {name}"]
        assert values["externalRedis"]["username"] == f"telemetry.edge.{name}"
        assert values["externalRedis"]["auth"]["existingSecret"] == values["trust"]["existingSecret"] == "telemetry-edge"
        assert values["externalRedis"]["tls"]["caCert"] == held(stage, "main", "telemetry-broker-tls")["ca.crt"]
    assert declared(stage) == [["gpu-1=1", "gpu-2=1"]]
    assert held(stage, "main", "telemetry-roles")["collector"] == maker.password("collector")
    values = upgraded(stage)["central main"]
    assert values["trust"] == {"existingSecret": "telemetry-trust", "roles": {"existingSecret": "telemetry-roles"}}
    assert upgraded(stage)["shared main"]["redis"] == {
        "existingSecret": "telemetry-broker",
        "users": {"existingSecret": "telemetry-broker-users"},
        "tls": {"existingSecret": "telemetry-broker-tls"},
    }


def versions(stage: Stage) -> dict[str, str]:
    """The version of each Secret."""
    return {
        f"{name} {path}": item["metadata"]["resourceVersion"]
        for name, api in stage.clusters.items()
        for path, item in api.objects.items()
        if path.startswith(SECRETS)
    }


def test_nobody_sees_them_and_a_second_run_changes_none(stage: Stage) -> None:
    first = stage.run("deploy-all", *ALL, **GIVEN)
    before = versions(stage)
    again = stage.run("deploy-all", *ALL)
    assert again.returncode == 0, again.stdout
    assert versions(stage) == before
    said = "".join(done.stdout + done.stderr for done in (first, again))
    seen = said + json.dumps(stage.calls) + json.dumps(jobs(stage))
    for context in stage.clusters:
        for name in ("telemetry-broker", "telemetry-trust", "telemetry-roles", "telemetry-edge"):
            for text in held(stage, context, name).values():
                assert text not in seen


def test_a_centre_that_does_not_take_them_leaves_the_edges_as_they_are(stage: Stage) -> None:
    stage.clusters["main"].fails = True
    done = stage.run("deploy-all", *ALL, **GIVEN)
    assert done.returncode == 1
    assert "FAILED: the Job telemetry-central-credentials-" in done.stdout
    assert not [key for key in upgraded(stage) if key.startswith("edge")]
    assert not held(stage, "gpu-1", "telemetry-edge")


def test_credentials_are_rotated_one_edge_alone(stage: Stage) -> None:
    assert stage.run("deploy-all", *ALL, **GIVEN).returncode == 0
    old, other = held(stage, "gpu-1", "telemetry-edge"), held(stage, "gpu-2", "telemetry-edge")
    done = stage.run("rotate-edge", *ONE)
    assert done.returncode == 0, done.stdout + done.stderr
    # Both are valid until the edge's pods have the new ones.
    assert declared(stage)[1:] == [["gpu-1=1,2", "gpu-2=1"], ["gpu-1=2", "gpu-2=1"]]
    assert held(stage, "gpu-1", "telemetry-edge")["signing-key"].startswith("gpu-1:2:")
    assert held(stage, "gpu-2", "telemetry-edge") == other
    digest = sha256(old["redis-password"].encode()).hexdigest()
    assert digest not in held(stage, "main", "telemetry-broker-users")["users.acl"]
    tokens = [call["files"][1]["restartToken"] for call in stage.called("upgrade") if "gpu-1" in call["arguments"]]
    assert len(set(tokens)) == 2


def test_a_rotation_that_fails_keeps_the_old_ones_and_goes_on_later(stage: Stage) -> None:
    assert stage.run("deploy-all", *ALL, **GIVEN).returncode == 0
    (stage.folder / "fails").write_text("gpu-1")
    done = stage.run("rotate-edge", *ALL)
    assert done.returncode == 1
    assert declared(stage)[-1] == ["gpu-1=1,2", "gpu-2=2"]
    assert "edge gpu-2: has its new credentials alone" in done.stdout
    (stage.folder / "fails").unlink()
    assert stage.run("rotate-edge", *ONE).returncode == 0
    assert declared(stage)[-1] == ["gpu-1=2", "gpu-2=2"]


def test_a_named_redis_is_told_by_its_administrator(stage: Stage) -> None:
    named = ("--edge-context", "gpu-1", "--central-context", "main", "--redis-host", "redis.internal", "--redis-users")
    done = stage.run("deploy-all", *named, TELEMETRY_DEPLOY_REDIS_PASSWORD="word", **GIVEN)  # noqa: S106
    assert done.returncode == 0, done.stdout + done.stderr
    assert "--apply" in jobs(stage)[0]["spec"]["template"]["spec"]["containers"][0]["command"]
    assert upgraded(stage)["central main"]["externalRedis"]["auth"]["existingSecret"] == "telemetry-broker"
    assert not held(stage, "gpu-1", "telemetry-broker")
    assert held(stage, "gpu-1", "telemetry-edge")


def test_credentials_that_cannot_be_read_are_not_made_anew(stage: Stage) -> None:
    assert stage.run("deploy-all", *ALL, **GIVEN).returncode == 0
    stage.clusters["main"].hidden = (f"{SECRETS}/telemetry-trust",)
    for api in stage.clusters.values():
        api.asked.clear()
    done = stage.run("deploy-all", *ALL)
    assert done.returncode == 1
    assert "telemetry-trust is forbidden" in done.stderr
    assert not stage.changes


@pytest.mark.parametrize("action", ["deploy-all", "rotate-edge", "validate"])
def test_a_dry_run_hands_out_nothing(stage: Stage, action: str) -> None:
    done = stage.run(action, *ALL, "--dry-run", **GIVEN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not stage.changes


def test_edges_need_a_centre_that_knows_them(stage: Stage) -> None:
    done = stage.run("validate", "--edge-context", "main", "--shared-context", "main")
    assert done.returncode == 1
    assert "give --central-context" in done.stdout
    done = stage.run("rotate-edge", "--edge-context", "main", "--central-context", "main")
    assert done.returncode == 2
    assert "all edges share one password" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_redis_and_the_centre_take_what_was_handed_out(
    stage: Stage, telemetry: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """With a real Redis run by the chart's script, the command of the Job, and a real database."""
    assert stage.run("deploy-all", *ONE, **GIVEN).returncode == 0
    secrets = {
        "redis": {"password": held(stage, "main", "telemetry-broker")["redis-password"]},
        "redis-users": {"users__acl": held(stage, "main", "telemetry-broker-users")["users.acl"]},
    }
    shared = upgraded(stage)["shared main"]
    with running(tmp_path, shared | {"redis": shared["redis"] | {"tls": {}}}, secrets) as pod:
        trust = {"TELEMETRY_TRUST_SECRET": held(stage, "main", "telemetry-trust")["trust-secret"]}
        environ = trust | {"TELEMETRY_BROKER_URL": f"redis://127.0.0.1:{pod.port}/0", "TELEMETRY_KEY_PREFIX": "telemetry"}

        def tell() -> subprocess.CompletedProcess[str]:
            command = jobs(stage)[-1]["spec"]["template"]["spec"]["containers"][0]["command"]
            return telemetry(*command[1:], **environ)

        first = tell()
        assert first.returncode == 0, first.stderr
        old = held(stage, "gpu-1", "telemetry-edge")["redis-password"]
        assert pod.client("telemetry.edge.gpu-1", old).ping()
        assert stage.run("rotate-edge", *ONE).returncode == 0
        pod.write("redis-users", users__acl=held(stage, "main", "telemetry-broker-users")["users.acl"])
        assert tell().returncode == 0
        assert pod.refuses("telemetry.edge.gpu-1", old)
        assert pod.client("telemetry.edge.gpu-1", held(stage, "gpu-1", "telemetry-edge")["redis-password"]).ping()
        listed = json.loads(telemetry("edge", "list", "--json").stdout)
        assert [each["serial"] for each in listed if each["holder"] == "gpu-1" and not each["retired_at"]] == [2]
        # What was retired is not made valid again, whoever says so.
        refused = telemetry("edge", "declare", "gpu-1=1", "--json", **environ)
        assert json.loads(refused.stdout) == {"gpu-1": []}
        assert "gpu-1 was revoked" in refused.stderr


def certificate_of(stage: Stage) -> str:
    return held(stage, "main", "telemetry-broker-tls")["tls.crt"]


def test_another_host_of_the_redis_gets_another_certificate(stage: Stage) -> None:
    one = (*ONE[:-1], "one.internal", "--first-row", "0")
    assert stage.run("deploy-all", *one, **GIVEN).returncode == 0
    first, ca = certificate_of(stage), held(stage, "main", "telemetry-broker-tls")["ca.crt"]
    assert certificates.covers(first, "one.internal")
    assert stage.run("deploy-all", *one).returncode == 0
    assert certificate_of(stage) == first
    other = (*ONE[:-1], "10.0.0.7", "--first-row", "0")
    rehearsed = stage.run("deploy-all", *other, "--dry-run")
    assert "shared main: would make a certificate for 10.0.0.7, as there is none for it" in rehearsed.stdout
    assert "shared main: would write the Secret telemetry-broker-tls with the keys ca.crt, tls.crt, tls.key" in rehearsed.stdout
    assert certificate_of(stage) == first
    done = stage.run("deploy-all", *other)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "shared main: a new certificate for 10.0.0.7" in done.stdout
    assert certificates.covers(certificate_of(stage), "10.0.0.7")
    assert not certificates.covers(certificate_of(stage), "one.internal")
    # Those who check it get its authority, and the Redis is started again, as it reads no new certificate by itself.
    new = held(stage, "main", "telemetry-broker-tls")["ca.crt"]
    assert upgraded(stage)["edge gpu-1"]["externalRedis"]["tls"]["caCert"] == new != ca
    tokens = [
        call["files"][1]["restartToken"] for call in stage.called("upgrade") if call["arguments"][2] == "telemetry-shared"
    ]
    assert tokens[0] == tokens[1] != tokens[2]


def test_what_is_no_certificate_covers_nothing() -> None:
    assert not certificates.covers("", "one.internal")
    made = certificates.made("redis.internal")["tls.crt"]
    assert certificates.covers(made, "redis.internal")
    assert not certificates.covers(made, "other.internal")
