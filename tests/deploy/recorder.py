"""Stands for `helm`: writes down how it was called. `version` and `template` are the real one's, the others are played.

`upgrade` puts the workloads that the real `helm template` renders into the test's cluster, and a ready pod of each. Called as
recorder.py FOLDER REAL-HELM ARGUMENTS…; FOLDER holds calls.jsonl, releases.json, and `fails` with contexts that fail.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import yaml

FOLDER, REAL, ARGUMENTS = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
# In C where PyYAML has it: in Python a manifest takes longer to read than all else here.
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
PLURALS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets", "Job": "jobs"}


def after(name: str) -> list[str]:
    """The words behind an option."""
    return [ARGUMENTS[at + 1] for at, word in enumerate(ARGUMENTS) if word == name]


def record() -> None:
    """Write down the call, what its files say, and what everybody sees of it and of the process that called it."""
    parents = [Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0") for pid in (os.getpid(), os.getppid())]
    call = {
        "arguments": ARGUMENTS,
        "files": [yaml.safe_load(Path(file).read_text()) for file in after("--values")],
        "folders": [oct(Path(file).parent.stat().st_mode & 0o777) for file in after("--values")],
        "seen": parents,
        "environ": {name: value for name, value in os.environ.items() if name.startswith("TELEMETRY")},
    }
    with (FOLDER / "calls.jsonl").open("a") as file:
        file.write(json.dumps(call) + "\n")


def ready(item: dict[str, Any]) -> dict[str, Any]:
    """A workload whose pods are all ready."""
    wanted = item["spec"].get("replicas", 1)
    status = {"readyReplicas": wanted, "updatedReplicas": wanted, "succeeded": 1, "desiredNumberScheduled": 1}
    item["metadata"]["annotations"] = {"meta.helm.sh/release-name": ARGUMENTS[2]}
    return item | {"status": status | {"numberReady": 1, "updatedNumberScheduled": 1}}


def install(context: str, release: str, namespace: str) -> None:
    """Put the workloads into the cluster."""
    files = [word for file in after("--values") for word in ("--values", file)]
    command = [REAL, "template", release, ARGUMENTS[3], "--namespace", namespace, *files]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    (url,) = [each["cluster"]["server"] for each in config["clusters"] if each["name"] == context]
    for item in yaml.load_all(text, Loader):
        if item and item["kind"] in PLURALS:
            place = f"{url}/apis/{item['apiVersion']}/namespaces/{namespace}/{PLURALS[item['kind']]}"
            put(place, ready(item))
            if item["kind"] != "Job":
                put(f"{url}/api/v1/namespaces/{namespace}/pods", pod(item))


def put(place: str, item: dict[str, Any]) -> None:
    """Make an object."""
    request = urllib.request.Request(place, json.dumps(item).encode(), {"Content-Type": "application/json"})  # noqa: S310
    urllib.request.urlopen(request).read()  # noqa: S310


def pod(item: dict[str, Any]) -> dict[str, Any]:
    """A pod of a workload that is ready, on the node that the tests' clusters have for it."""
    template = item["spec"]["template"]
    metadata = template["metadata"] | {"name": f"{item['metadata']['name']}-0"}
    containers = [{"name": each["name"], "ready": True, "restartCount": 0} for each in template["spec"]["containers"]]
    status = {"conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": containers}
    node = "gpu-1" if item["kind"] == "DaemonSet" else "cpu-1"
    return {"metadata": metadata, "spec": template["spec"] | {"nodeName": node}, "status": status}


def main() -> None:
    """Play the command."""
    record()
    verb = ARGUMENTS[0]
    if verb in {"version", "template"}:
        os.execv(REAL, [REAL, *ARGUMENTS])  # noqa: S606
    (context,), (namespace,) = after("--kube-context"), after("--namespace")
    store = FOLDER / f"releases-{context}.json"
    releases = {each["name"]: each for each in json.loads(store.read_text())} if store.exists() else {}
    if verb == "list":
        sys.stdout.write(json.dumps(list(releases.values())))
        return
    fails = FOLDER / "fails"
    if fails.exists() and context in fails.read_text().split():
        sys.exit("Error: UPGRADE FAILED: context deadline exceeded")
    if verb == "upgrade":
        install(context, ARGUMENTS[2], namespace)
        releases[ARGUMENTS[2]] = {
            "name": ARGUMENTS[2],
            "status": "deployed",
            "chart": "telemetry-pipeline-0.1.0",
            "revision": "1",
        }
    else:
        del releases[ARGUMENTS[1]]
    store.write_text(json.dumps(list(releases.values())))


main()
