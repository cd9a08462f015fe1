"""What a Kubernetes API server answers to Helm's `lookup`: which resources there are, and a few objects. It takes nothing."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from tests.chart.rendering import CHART, RELEASE, Loader, Object

KINDS = {
    "v1": "Namespace ServiceAccount Service Secret Pod PersistentVolumeClaim ConfigMap",
    "apps/v1": "Deployment DaemonSet StatefulSet",
    "batch/v1": "Job",
    "networking.k8s.io/v1": "NetworkPolicy",
    "policy/v1": "PodDisruptionBudget",
    "autoscaling/v2": "HorizontalPodAutoscaler",
    "keda.sh/v1alpha1": "ScaledObject TriggerAuthentication",
}
PLURALS = {"NetworkPolicy": "networkpolicies"}
# Helm 4 asks whose each object is.
OWNED = {
    "labels": {"app.kubernetes.io/managed-by": "Helm"},
    "annotations": {"meta.helm.sh/release-name": RELEASE, "meta.helm.sh/release-namespace": "gpu"},
}


def _resource(kind: str) -> Object:
    name = PLURALS.get(kind, f"{kind.lower()}s")
    return {"name": name, "kind": kind, "namespaced": kind != "Namespace", "verbs": ["get"], "singularName": kind.lower()}


def _answer(path: str, objects: Mapping[str, Any]) -> tuple[int, Object]:
    if path == "/version":
        return 200, {"major": "1", "minor": "36", "gitVersion": "v1.36.2"}
    if path == "/api":
        return 200, {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        versions = [(each.partition("/")[0], {"groupVersion": each, "version": each.partition("/")[2]}) for each in KINDS]
        groups = [{"name": name, "versions": [each], "preferredVersion": each} for name, each in versions if each["version"]]
        return 200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    if (version := path.removeprefix("/apis/").removeprefix("/api/")) in KINDS:
        resources = [_resource(kind) for kind in KINDS[version].split()]
        return 200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}
    if path in objects:
        return 200, objects[path]
    return 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


@contextmanager
def serving(objects: Mapping[str, Any], directory: Path) -> Iterator[Path]:
    """A server that knows these objects by their paths; the path of its kubeconfig."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, answer = _answer(self.path.partition("?")[0], objects)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    place = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
    config = directory / "kubeconfig"
    config.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [place],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "c",
                "users": [{"name": "u", "user": {}}],
            }
        )
    )
    try:
        yield config
    finally:
        server.shutdown()
        server.server_close()


def ask(helm: str, objects: Mapping[str, Any], values: Mapping[str, Any], directory: Path) -> list[Object]:
    """The objects that a binary of Helm renders against such a server. What it refuses is a CalledProcessError."""
    (directory / "values.yaml").write_text(yaml.safe_dump(dict(values)))
    with serving(objects, directory) as config:
        done = subprocess.run(
            [
                *(
                    helm,
                    "template",
                    RELEASE,
                    str(CHART),
                    "--namespace",
                    "gpu",
                    "--dry-run=server",
                    "--disable-openapi-validation",
                    "--kubeconfig",
                    str(config),
                ),
                *("-f", str(directory / "values.yaml")),
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    return [each for each in yaml.load_all(done.stdout, Loader) if each]
