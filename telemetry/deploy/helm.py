"""Runs the `helm` binary, 3 or 4. It is given no password: those reach the cluster as Secrets beforehand."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MIN_VERSION = (3, 14)
# What is asked of a cluster is answered within this time, or the cluster is away.
ASK_S = 60.0
# Helm 4 lists all of these by itself, Helm 3 leaves out the pending ones.
STATES = ("--deployed", "--failed", "--pending")


class HelmError(Exception):
    """Helm ended with another code than 0; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Helm:
    """A binary, the chart, and the kubeconfig."""

    program: str
    chart: Path
    kubeconfig: str | None = None

    def version(self) -> str:
        """Its version, as v3.17.3."""
        return self._run(["version", "--template", "{{.Version}}"], ASK_S).strip()

    def template(self, release: str, namespace: str, files: Sequence[str]) -> list[dict[str, Any]]:
        """The objects of a release, without asking a cluster."""
        text = self._run(["template", release, str(self.chart), "--namespace", namespace, *_values(files)], ASK_S)
        return [each for each in yaml.safe_load_all(text) if each]

    def upgrade(self, context: str, release: str, namespace: str, files: Sequence[str], timeout_s: int) -> list[str]:
        """The command that installs or upgrades a release and waits."""
        named = ["upgrade", "--install", release, str(self.chart), "--kube-context", context, "--namespace", namespace]
        return [*named, "--wait", "--timeout", f"{timeout_s}s", *_values(files)]

    def uninstall(self, context: str, release: str, namespace: str, timeout_s: int) -> list[str]:
        """The command that removes a release and waits."""
        named = ["uninstall", release, "--kube-context", context, "--namespace", namespace]
        return [*named, "--wait", "--timeout", f"{timeout_s}s"]

    def releases(self, context: str, namespace: str) -> dict[str, dict[str, Any]]:
        """The releases of a namespace by name, whatever their state."""
        text = self._run(["list", *STATES, "--kube-context", context, "--namespace", namespace, "-o", "json"], ASK_S)
        return {each["name"]: each for each in json.loads(text or "[]")}

    def run(self, arguments: Sequence[str], timeout_s: float) -> str:
        """Run a command that changes something; what it says."""
        return self._run(arguments, timeout_s)

    def _run(self, arguments: Sequence[str], timeout_s: float) -> str:
        environ = dict(os.environ)
        for name in list(environ):
            if name.startswith("TELEMETRY_DEPLOY_"):
                del environ[name]
        if self.kubeconfig:
            environ["KUBECONFIG"] = self.kubeconfig
        try:
            done = subprocess.run(  # noqa: S603 - a binary that the user names, and arguments without a shell
                [self.program, *arguments], env=environ, capture_output=True, text=True, check=False, timeout=timeout_s
            )
        except FileNotFoundError:
            raise HelmError(f"there is no program {self.program}: install Helm 3.14 or later, or name it by --helm") from None
        except subprocess.TimeoutExpired:
            raise HelmError(f"helm {arguments[0]} has not ended within {timeout_s:.0f} s") from None
        if done.returncode:
            raise HelmError(done.stderr.strip() or done.stdout.strip() or f"helm {arguments[0]} ended with {done.returncode}")
        return done.stdout


def numbers(version: str) -> tuple[int, int]:
    """The first two numbers of a version."""
    major, minor, *_ = version.removeprefix("v").split(".")
    return int(major), int("".join(char for char in minor if char.isdigit()))


@contextmanager
def values_file(values: Mapping[str, Any]) -> Iterator[str]:
    """A file of values that only this user may read."""
    with tempfile.TemporaryDirectory(prefix="telemetry-deploy-") as folder:
        path = Path(folder) / "values.yaml"
        path.write_text(yaml.safe_dump(dict(values)), encoding="utf-8")
        yield str(path)


def _values(files: Sequence[str]) -> list[str]:
    return [word for file in files for word in ("--values", file)]
