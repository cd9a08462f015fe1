"""Where a rendered container runs in a test: its mounts below the test's directory, its server on a port of the test's own."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.chart.rendering import Object
from tests.ports import free_port

# The address of a container's server, which a test on one machine has to move.
PORTS = {"api": 8080, "flower": 5555, "exporter": 9100}


class Place:
    """Where a container's paths lie in this test."""

    def __init__(self, root: Path, container: Object, port: int) -> None:
        self.container, self.port = container, port
        self.moved = {each["mountPath"]: f"{root}{each['mountPath']}" for each in container["volumeMounts"]}
        for path in self.moved.values():
            Path(path).mkdir(parents=True, exist_ok=True)

    def mount(self, pod: Object, secrets: Mapping[str, Mapping[str, str]]) -> None:
        """Write the files of the pod's projected Secrets, as Kubernetes would."""
        for volume in pod["spec"]["volumes"]:
            for source in volume.get("projected", {}).get("sources", []):
                (mount,) = [each["mountPath"] for each in self.container["volumeMounts"] if each["name"] == volume["name"]]
                for item in source["secret"]["items"]:
                    content = secrets[source["secret"]["name"]][item["key"]]
                    Path(self.moved[mount], item["path"]).write_text(content)

    def text(self, value: str) -> str:
        """A value with its mounts, and the port of its server, moved."""
        for old in sorted(self.moved, key=len, reverse=True):
            if value.startswith(f"{old}/") or value == old:
                return self.moved[old] + value[len(old) :]
        ours = PORTS.get(self.container["name"])
        return value.replace(str(ours), str(self.port)) if ours else value

    def variables(self) -> dict[str, str]:
        """The environment as Kubernetes would give it."""
        given: dict[str, str] = {}
        for each in self.container["env"]:
            value = each.get("value", "node-1" if "fieldRef" in each.get("valueFrom", {}) else "")
            for name, known in given.items():
                value = value.replace(f"$({name})", known)
            given[each["name"]] = self.text(value)
        return given

    def told(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The same, with the servers of this test and a port for metrics that is free."""
        told = self.variables()
        for ours in ("TELEMETRY_BROKER_URL", "TELEMETRY_DATABASE_URL", "TELEMETRY_KEY_PREFIX"):
            told[ours] = environ[ours]
        told.pop("TELEMETRY_DATABASE_PASSWORD_FILE", None)
        if "TELEMETRY_METRICS_PORT" in told:
            told["TELEMETRY_METRICS_PORT"] = str(self.port if self.container["name"] == "exporter" else free_port())
        return told

    def command(self) -> list[str]:
        """The command, with its paths and port moved."""
        return [self.text(each) for each in self.container["command"]]

    def is_well(self) -> bool:
        """Whether all probes pass."""
        return all(self.passes(self.container[probe]) for probe in ("startupProbe", "livenessProbe", "readinessProbe"))

    def passes(self, probe: dict[str, Any]) -> bool:
        """Whether a probe of the container passes now."""
        if "exec" in probe:
            command = [self.text(each) for each in probe["exec"]["command"]]
            return subprocess.run(command, check=False, capture_output=True, timeout=10).returncode == 0
        if "tcpSocket" in probe:
            return True
        url = f"http://127.0.0.1:{self.port}{probe['httpGet']['path']}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
