"""Clusters that answer, a helm that is written down, and the command that works on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from telemetry.cli import main
from tests.chart.test_scenarios import helm
from tests.deploy.centre import Centre, streamers
from tests.deploy.kubernetes import Api, kubeconfig, serving
from tests.fixtures.processes import ROOT

CONTEXTS = ("gpu-1", "gpu-2", "main")


class Stage:
    """Three clusters, a kubeconfig, and a helm."""

    def __init__(self, folder: Path, clusters: Mapping[str, Api]) -> None:
        self.folder, self.clusters = folder, clusters
        self.centre = Centre(lambda: [edge for api in clusters.values() for edge in streamers(api)])
        for api in clusters.values():
            api.execute = self.centre.execute(api)
        self.kubeconfig = kubeconfig(folder / "kubeconfig", {name: api.url for name, api in clusters.items()})
        self.helm = folder / "helm"
        recorder = Path(__file__).with_name("recorder.py")
        self.helm.write_text(f'#!/bin/sh\nexec {sys.executable} {recorder} {folder} {helm("4")} "$@"\n')
        self.helm.chmod(0o755)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the command on these clusters, in this process: to start one takes longer than the command."""
        done = CliRunner().invoke(main, ["deploy", *self._whole(arguments)], env=variables)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    def start(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command on these clusters as a process of its own."""
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(self._whole(command), capture_output=True, text=True, check=False, timeout=100, env=environ)

    def opened(self, *command: str) -> subprocess.Popen[str]:
        """A command on these clusters that goes on; the caller ends it."""
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(self._whole(command), stdout=subprocess.PIPE, text=True, env=environ)

    def _whole(self, arguments: tuple[str, ...]) -> list[str]:
        helm = () if "--helm" in arguments else ("--helm", str(self.helm))
        return [*arguments, *helm, "--kubeconfig", str(self.kubeconfig)]

    @property
    def executed(self) -> list[tuple[str, str]]:
        """The commands that were run in pods, each with its container."""
        return [(container, " ".join(words)) for api in self.clusters.values() for _, container, words in api.executed]

    @property
    def calls(self) -> list[dict[str, Any]]:
        """How helm was called."""
        log = self.folder / "calls.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def called(self, verb: str) -> list[dict[str, Any]]:
        """The calls of one verb."""
        return [call for call in self.calls if call["arguments"][0] == verb]

    @property
    def changes(self) -> dict[str, list[tuple[str, str]]]:
        """What was changed in the clusters."""
        return {name: api.changes for name, api in self.clusters.items() if api.changes}


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """Fresh clusters, each with a GPU node, a CPU node and a default storage class."""
    with ExitStack() as stack:
        clusters = {name: Api() for name in CONTEXTS}
        for api in clusters.values():
            stack.enter_context(serving(api))
        yield Stage(folder, clusters)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Clusters and a helm."""
    with staged(tmp_path) as made:
        yield made
