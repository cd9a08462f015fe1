"""The steps of the workflows that judge or hand on what a step before them made: they fail where that is not there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github/workflows").glob("*.yaml")}
FULL: dict[str, Any] = {"components": [{"name": "redis"}]}
EMPTY: dict[str, Any] = {"components": []}
needs_jq = pytest.mark.skipif(not shutil.which("jq"), reason="the runners of GitHub have jq")


def commands(words: str) -> str:
    """The one step of all workflows in which some words stand."""
    jobs = [job for workflow in WORKFLOWS.values() for job in workflow["jobs"].values()]
    (found,) = [step["run"] for job in jobs for step in job["steps"] if words in step.get("run", "")]
    return str(found)


def succeeds(step: str, directory: Path, **variables: str) -> bool:
    """Whether a step does, as GitHub runs it by `shell: bash`."""
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step]
    output = {"GITHUB_OUTPUT": str(directory / "output")}
    return subprocess.run(shell, cwd=directory, env={**os.environ, **output, **variables}, check=False).returncode == 0


@pytest.mark.parametrize("workflow", WORKFLOWS.values(), ids=WORKFLOWS.keys())
def test_a_step_fails_with_any_command_of_a_pipe(workflow: dict[str, Any]) -> None:
    assert workflow["defaults"] == {"run": {"shell": "bash"}}


@needs_jq
@pytest.mark.parametrize(
    ("edge", "central", "is_well"),
    [(FULL, FULL, True), (EMPTY, FULL, False), (FULL, EMPTY, False), ({}, FULL, False), (FULL, None, False)],
)
def test_each_bill_of_materials_has_to_name_something(
    tmp_path: Path, edge: dict[str, Any], central: dict[str, Any] | None, is_well: bool
) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "sbom-edge.json").write_text(json.dumps(edge))
    if central is not None:
        (tmp_path / "dist" / "sbom-central.json").write_text(json.dumps(central))
    assert succeeds(commands("dist/sbom-*.json"), tmp_path) == is_well


@pytest.mark.parametrize(
    ("said", "status", "is_well"),
    [("Pushed: x\nDigest: sha256:1", 0, True), ("Pushed: x", 0, False), ("Pushed: x\nDigest: sha256:1", 1, False)],
)
def test_a_chart_without_a_digest_is_not_signed(tmp_path: Path, said: str, status: int, is_well: bool) -> None:
    helm = tmp_path / "helm"
    helm.write_text(f"#!/bin/sh\nprintf '%s\\n' '{said}'\nexit {status}\n")
    helm.chmod(0o755)
    step = commands("helm push")
    assert succeeds(step, tmp_path, PATH=f"{tmp_path}:{os.environ['PATH']}", REGISTRY="r", OWNER="o") == is_well
    if is_well:
        assert (tmp_path / "output").read_text() == "digest=sha256:1\n"


@needs_jq
@pytest.mark.parametrize(("built", "is_well"), [({"containerimage.digest": "sha256:1"}, True), ({}, False)])
def test_an_image_without_a_digest_is_not_signed(tmp_path: Path, built: dict[str, str], is_well: bool) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\n")
    docker.chmod(0o755)
    (tmp_path / "built.json").write_text(json.dumps(built))
    step = commands("containerimage.digest")
    assert succeeds(step, tmp_path, PATH=f"{tmp_path}:{os.environ['PATH']}", TARGET="edge", TAG="v1") == is_well
