"""Deployments: their order, what reaches the clusters, what a failure says, and that a second run changes nothing."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import pytest

from tests.deploy.conftest import Stage
from tests.fixtures.processes import ROOT
from tests.launching import BIN

BROKER, DATABASE = "br0ker/p@ss", "d4tabase p%ss"
ALL = ("--edge-context", "gpu-1", "--edge-context", "gpu-2", "--central-context", "main", "--redis-host", "redis.internal")
GIVEN = {"TELEMETRY_DEPLOY_REDIS_PASSWORD": BROKER, "TELEMETRY_DEPLOY_DB_PASSWORD": DATABASE}
SECRETS = "/api/v1/namespaces/telemetry/secrets"


def upgraded(stage: Stage) -> list[str]:
    return [call["arguments"][call["arguments"].index("--kube-context") + 1] for call in stage.called("upgrade")]


def secret(stage: Stage, context: str, name: str, key: str) -> str:
    return base64.b64decode(stage.clusters[context].objects[f"{SECRETS}/{name}"]["data"][key]).decode()


def test_the_centre_comes_up_before_the_edges(stage: Stage) -> None:
    done = stage.run("deploy-all", *ALL, **GIVEN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert upgraded(stage)[0] == "main"
    assert sorted(upgraded(stage)[1:]) == ["gpu-1", "gpu-2"]
    assert done.stdout.count("ready in") == 3
    assert {secret(stage, name, "telemetry-broker", "redis-password") for name in stage.clusters} == {BROKER}
    assert secret(stage, "main", "telemetry-database", "password") == DATABASE
    assert f"{SECRETS}/telemetry-database" not in stage.clusters["gpu-1"].objects
    (first, *_), made = stage.called("upgrade"), [call["files"][1] for call in stage.called("upgrade")]
    assert "--wait" in first["arguments"]
    assert {values["clusterName"] for values in made} == {"central", "gpu-1", "gpu-2"}
    assert all(values["externalRedis"]["auth"]["existingSecret"] == "telemetry-broker" for values in made)


def test_passwords_are_seen_by_nobody(stage: Stage) -> None:
    given = ("deploy-all", *ALL, "--redis-password", BROKER, f"--db-password={DATABASE}")
    front = str(ROOT / "scripts" / "deploy-cross-cluster.sh")
    shown = [stage.start(str(BIN / "telemetry"), "deploy", *given), stage.start(front, *given)]
    assert [done.returncode for done in shown] == [0, 0], shown[0].stderr + shown[1].stderr
    assert secret(stage, "gpu-2", "telemetry-broker", "redis-password") == BROKER
    seen = json.dumps(stage.calls) + "".join(done.stdout + done.stderr for done in shown)
    for word in (BROKER, DATABASE, base64.b64encode(BROKER.encode()).decode()):
        assert json.dumps(word).strip('"') not in seen
    # The process that calls helm is ours, and what it was given is seen.
    assert any("deploy-all" in line for call in stage.calls for line in call["seen"])
    assert {call["folders"][1] for call in stage.called("upgrade")} == {"0o700"}


def test_passwords_from_files_and_from_a_prompt(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "word").write_text(f"{BROKER}\n")
    central = ("--central-context", "main", "--redis-host", "redis.internal")
    done = stage.run(
        "deploy-central",
        *central,
        "--redis-password",
        f"@{tmp_path}/word",
        TELEMETRY_DEPLOY_DB_PASSWORD_FILE=str(tmp_path / "word"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        secret(stage, "main", "telemetry-broker", "redis-password")
        == secret(stage, "main", "telemetry-database", "password")
        == BROKER
    )
    missing = stage.run("deploy-central", *central, "--redis-password", "@/nowhere")
    assert missing.returncode == 2
    assert "/nowhere" in missing.stderr


def test_a_second_run_changes_nothing_and_needs_no_password(stage: Stage) -> None:
    assert stage.run("deploy-all", *ALL, **GIVEN).returncode == 0
    before = [call["files"][1] for call in stage.called("upgrade")]
    for api in stage.clusters.values():
        api.asked.clear()
    again = stage.run("deploy-all", *ALL)
    assert again.returncode == 0, again.stdout
    assert not [path for changes in stage.changes.values() for method, path in changes if "secrets" in path]
    after = [call["files"][1] for call in stage.called("upgrade")][len(before) :]
    assert sorted(before, key=str) == sorted(after, key=str)


def test_another_password_replaces_the_pods(stage: Stage) -> None:
    edge = ("deploy-edge", "--edge-context", "gpu-1", "--redis-host", "redis.internal")
    assert stage.run(*edge, TELEMETRY_DEPLOY_REDIS_PASSWORD="one").returncode == 0  # noqa: S106
    assert stage.run(*edge, TELEMETRY_DEPLOY_REDIS_PASSWORD="two").returncode == 0  # noqa: S106
    tokens = [call["files"][1]["restartToken"] for call in stage.called("upgrade")]
    assert len(set(tokens)) == 2
    assert secret(stage, "gpu-1", "telemetry-broker", "redis-password") == "two"


def test_a_centre_that_fails_says_why_and_leaves_the_edges(stage: Stage) -> None:
    (stage.folder / "fails").write_text("main")
    main = stage.clusters["main"]
    name, labels = "telemetry-central-telemetry-pipeline-api-x", {"app.kubernetes.io/instance": "telemetry-central"}
    state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    status = {"containerStatuses": [{"name": "api", "ready": False, "state": state}]}
    main.put(f"/api/v1/namespaces/telemetry/pods/{name}", {"metadata": {"name": name, "labels": labels}, "status": status})
    event = {
        "involvedObject": {"kind": "Pod", "name": name},
        "reason": "FailedMount",
        "message": "no such secret",
        "type": "Warning",
    }
    main.put("/api/v1/namespaces/telemetry/events/e", {"metadata": {"name": "e"}, **event})
    main.logs[f"{name}/api"] = f"it is {DATABASE} that is refused\n"
    done = stage.run("deploy-all", *ALL, **GIVEN)
    assert done.returncode == 1
    for said in (
        "FAILED: Error: UPGRADE FAILED",
        "FailedMount: no such secret",
        "CrashLoopBackOff",
        "| it is *** that is refused",
    ):
        assert said in done.stdout
    assert done.stdout.count("left as it was") == 2
    assert upgraded(stage) == ["main"]


def test_one_edge_that_fails_keeps_no_other_from_coming_up(stage: Stage) -> None:
    (stage.folder / "fails").write_text("gpu-1")
    done = stage.run("deploy-all", *ALL, "--json", **GIVEN)
    assert done.returncode == 1
    assert json.loads(done.stdout)["failed"] == [{"role": "edge", "context": "gpu-1"}]
    assert "edge gpu-2: ready in" in done.stderr


def test_all_in_one_cluster_needs_no_address(stage: Stage) -> None:
    one = ("--edge-context", "main", "--central-context", "main")
    done = stage.run("deploy-all", *one, **GIVEN)
    assert done.returncode == 0, done.stdout + done.stderr
    centre, edge = stage.called("upgrade")
    assert not centre["files"][1]["externalRedis"]["enabled"]
    assert edge["files"][1]["redis"]["existingSecret"] == "telemetry-broker"


def test_a_shared_redis_comes_first_and_the_centre_brings_none(stage: Stage) -> None:
    one = ("--edge-context", "main", "--central-context", "main", "--shared-context", "main")
    done = stage.run("deploy-all", *one, **GIVEN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [call["arguments"][2] for call in stage.called("upgrade")] == [
        "telemetry-shared",
        "telemetry-central",
        "telemetry-edge",
    ]
    workloads = [path for path in stage.clusters["main"].objects if path.endswith("-redis") and "/statefulsets/" in path]
    assert [path.rpartition("/")[2] for path in workloads] == ["telemetry-shared-telemetry-pipeline-redis"]


@pytest.mark.parametrize("action", ["deploy-all", "deploy-edge", "deploy-central", "cleanup", "validate"])
def test_a_dry_run_changes_nothing(stage: Stage, action: str) -> None:
    done = stage.run(action, *ALL, "--dry-run", **GIVEN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not stage.changes
    assert not stage.called("upgrade")
    assert not stage.called("uninstall")
    if action == "deploy-all":
        assert "main: would write the Secret telemetry-database with the key password" in done.stdout
        assert "edge gpu-2: would install telemetry-edge" in done.stdout
        assert "1 DaemonSet" in done.stdout


def test_an_inventory_stands_for_the_options(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("streamer: {config: {batchSize: 7}}\n")
    (tmp_path / "fleet.toml").write_text(
        'namespace = "gpu"\n[redis]\nhost = "redis.internal"\nport = 6390\n[central]\ncontext = "main"\n'
        '[[edge]]\ncontext = "gpu-1"\nname = "west"\nvalues = ["more.yaml"]\n'
    )
    done = stage.run("deploy-all", "--inventory", str(tmp_path / "fleet.toml"), **GIVEN)
    assert done.returncode == 0, done.stdout + done.stderr
    centre, edge = stage.called("upgrade")
    assert edge["files"][1]["clusterName"] == "west"
    assert edge["files"][2] == {"streamer": {"config": {"batchSize": 7}}}
    assert edge["files"][1]["externalRedis"]["port"] == 6390
    assert centre["arguments"][centre["arguments"].index("--namespace") + 1] == "gpu"


@pytest.mark.parametrize(
    ("lacking", "code", "said"),
    [(("kubernetes",), 1, "telemetry-pipeline[deploy]"), (("redis", "celery", "numpy", "sqlalchemy", "msgspec"), 0, "")],
)
def test_it_needs_its_own_extra_and_no_other(stage: Stage, lacking: tuple[str, ...], code: int, said: str) -> None:
    block = "; ".join(f"sys.modules[{name!r}] = None" for name in lacking)
    program = f"import sys; {block}; from telemetry.cli import main; main()"
    done = stage.start(sys.executable, "-c", program, "deploy", "validate", "--edge-context", "gpu-1", "--redis-host", "r")
    assert done.returncode == code, done.stderr
    assert said in done.stderr
