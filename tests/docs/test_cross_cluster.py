"""The commands of the page about many clusters are tried as they are written, on clusters that answer."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from telemetry.cli.deploy import ACTIONS, deploy
from telemetry.deploy.inventory import checked, parsed
from tests.chart.rendering import render, values_of
from tests.deploy.conftest import Stage, staged
from tests.deploy.kubernetes import node
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "CROSS_CLUSTER_DEPLOYMENT.md").read_text(encoding="utf-8")
FRONT = "scripts/deploy-cross-cluster.sh"


def blocks(language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", PAGE)


LINES = [line for block in blocks("sh") for line in block.replace("\\\n", " ").splitlines()]
COMMANDS = [line for line in LINES if line.startswith(FRONT)]
EXECS = [line for line in LINES if line.startswith("kubectl") and " exec " in line]


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """Clusters with nodes in two zones, and the files that the page names, with what it writes into them."""
    (toml, *others), (zones, shared) = blocks("toml"), blocks("yaml")
    for other in others:
        assert not checked(parsed(tomllib.loads(other), tmp_path))
    files = {"fleet.toml": toml, "zones.yaml": zones, "shared.yaml": shared, "ca.crt": "a certificate"}
    for name, text in {**files, "redis-password": "one", "postgres-password": "two"}.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    with staged(tmp_path) as stage:
        for api in stage.clusters.values():
            for kind, zone in (("gpu", "us-west-2a"), ("cpu", "us-west-2b")):
                placed = node(f"{kind}-z", node_type=kind)
                placed["metadata"]["labels"]["topology.kubernetes.io/zone"] = zone
                api.put(f"/api/v1/nodes/{kind}-z", placed)
        yield stage


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_can_be_run(page: Stage, command: str) -> None:
    # Nobody is there to answer a prompt.
    words = ["@redis-password" if word == "-" else word for word in shlex.split(command)[1:]]
    done = page.run(*words, "--dry-run")
    if words[0] == "status":
        assert done.stdout.count("not installed") == 3
        assert "nothing is known" not in done.stdout
        return
    assert done.returncode == 0, done.stdout + done.stderr
    assert not page.changes
    assert not (page.folder / "deploy").exists()


@pytest.mark.parametrize("command", EXECS)
def test_each_pod_that_is_asked_is_there(command: str) -> None:
    words = shlex.split(command)
    kind, _, name = words[words.index("exec") + 1].partition("/")
    role = name.removeprefix("telemetry-").partition("-")[0]
    sets = ("postgresql.auth.password=x",) if role == "central" else ()
    objects = render(values_of(f"values-{role}-cluster.yaml", sets=sets), release=f"telemetry-{role}")
    (found,) = [each for each in objects if (each["kind"].lower(), each["metadata"]["name"]) == (kind, name)]
    if "-c" in words:
        assert words[words.index("-c") + 1] in [each["name"] for each in found["spec"]["template"]["spec"]["containers"]]


def test_the_page_has_each_action_and_no_option_that_is_none() -> None:
    assert set(ACTIONS) <= set(re.findall(r"`([a-z-]+)`", PAGE))
    options = {
        name
        for parameter in deploy.params
        if isinstance(parameter, click.Option)
        for name in parameter.opts + parameter.secondary_opts
    }
    assert set(re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", " ".join([*COMMANDS, *re.findall(r"`(--[^`]+)`", PAGE)]))) <= options
    assert len(COMMANDS) >= 8


def test_the_front_runs_the_command(page: Stage) -> None:
    done = page.start(str(ROOT / FRONT), "validate", "--edge-context", "gpu-1", "--redis-host", "redis.internal")
    assert done.returncode == 0, done.stdout + done.stderr
