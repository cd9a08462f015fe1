"""A server that answers like a Kubernetes API and records what it is asked: objects by their paths, lists, rights, logs.

Commands in pods come by websocket, and are run by what a test says.
"""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.chart.cluster import _answer

Object = dict[str, Any]
# A command in a container of a pod -> its exit code and what it prints.
Execute = Callable[[str, str, list[str]], tuple[int, str]]
LISTS = {
    *("nodes", "pods", "events", "secrets", "resourcequotas", "storageclasses", "persistentvolumeclaims"),
    *("deployments", "daemonsets", "statefulsets", "jobs"),
}
DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}

# Of RFC 6455, section 1.3; and the channels of the Kubernetes' protocol for commands.
MAGIC, PROTOCOL = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", "v4.channel.k8s.io"
STDOUT, ENDED = 1, 3
BINARY, CLOSE = 0x82, 0x88

# Where objects of the namespace that the tests deploy to stand.
NAMESPACE = "/api/v1/namespaces/telemetry"


def node(name: str, *, taints: tuple[str, ...] = (), **labels: str) -> Object:
    """A node; labels have - for _."""
    spelt = {key.replace("_", "-"): value for key, value in labels.items()}
    spec = {"taints": [{"key": taint, "effect": "NoSchedule"} for taint in taints]}
    return {"metadata": {"name": name, "labels": spelt | {"kubernetes.io/hostname": name}}, "spec": spec}


@dataclass(frozen=True)
class Events:
    """The answer to a watch: its events, and whether the server goes away behind them."""

    of: list[Object]
    is_broken_off: bool = False


class Api:
    """What a cluster holds, and what it was asked."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.asked: list[tuple[str, str]] = []
        self.denied: set[tuple[str, str]] = set()
        # Paths that are answered by 403, and all below them.
        self.forbidden: tuple[str, ...] = ()
        # Objects that are answered so, without what is below.
        self.hidden: tuple[str, ...] = ()
        self.logs: dict[str, str] = {}
        # What runs commands in pods, and those that were run: pod, container, words.
        self.execute: Execute = lambda *_: (127, "there is no such command")
        self.executed: list[tuple[str, str, list[str]]] = []
        # Whether the connection of a command ends before it.
        self.cuts = False
        # Whether Jobs fail.
        self.fails = False
        self.version = "v1.36.2"
        self.url = ""
        # What a client must show; nothing where it is empty.
        self.token = ""
        self._changes = 0
        self.put("/api/v1/nodes/gpu-1", node("gpu-1", taints=("nvidia.com/gpu",), node_type="gpu"))
        self.put("/api/v1/nodes/cpu-1", node("cpu-1", node_type="cpu"))
        fast = {"metadata": {"name": "fast", "annotations": DEFAULT}}
        self.put("/apis/storage.k8s.io/v1/storageclasses/fast", fast)

    def put(self, path: str, body: Object) -> Object:
        """Keep an object under a new version."""
        self._changes += 1
        body["metadata"]["resourceVersion"] = str(self._changes)
        self.objects[path] = body
        return body

    def is_closed(self, target: str) -> bool:
        """Whether this user may not see a path."""
        path = urlsplit(target).path
        return any(path == closed or path.startswith(f"{closed}/") for closed in self.forbidden) or path in self.hidden

    @property
    def changes(self) -> list[tuple[str, str]]:
        """The requests that change something."""
        return [each for each in self.asked if each[0] != "GET" and "selfsubjectaccessreviews" not in each[1]]

    def answer(self, method: str, target: str, body: Object) -> tuple[int, Any]:
        """Status and answer."""
        parts = urlsplit(target)
        path, query = parts.path, parse_qs(parts.query)
        self.asked.append((method, path))
        if path.endswith("selfsubjectaccessreviews"):
            wanted = body["spec"]["resourceAttributes"]
            resource = "/".join(filter(None, [wanted["resource"], wanted.get("subresource")]))
            return 201, {"status": {"allowed": (wanted["verb"], resource) not in self.denied}}
        if self.is_closed(path):
            return 403, {"message": f"{path} is forbidden"}
        if method == "POST" and path.endswith("/jobs"):
            body.setdefault(
                "status", {"conditions": [{"type": "Failed", "status": "True"}]} if self.fails else {"succeeded": 1}
            )
        if method == "POST":
            return 201, self.put(f"{path}/{body['metadata']['name']}", body)
        if path in self.objects:
            return 200, self._changed(method, path, body)
        if method == "GET":
            return self._listed(path, query)
        return 404, {"message": f"{path} not found"}

    def ran(self, target: str) -> tuple[int, str]:
        """Run a command in a pod."""
        parts = urlsplit(target)
        query = parse_qs(parts.query)
        done = parts.path.split("/")[-2], query["container"][0], query["command"]
        self.executed.append(done)
        return self.execute(*done)

    def _changed(self, method: str, path: str, body: Object) -> Object:
        if method == "PATCH":
            return self.put(path, self.objects[path] | {"data": self.objects[path].get("data", {}) | body["data"]})
        return self.objects.pop(path) if method == "DELETE" else self.objects[path]

    def _listed(self, path: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        if path == "/version":
            return 200, {"gitVersion": self.version}
        if path.endswith("/log"):
            return 200, self.logs.get(f"{path.split('/')[-2]}/{query['container'][0]}", "")
        status, known = _answer(path, {})
        if status == 200:
            return status, known
        below = [each for place, each in self.objects.items() if place.rpartition("/")[0] == path]
        for selector in query.get("labelSelector", []):
            key, _, value = selector.partition("=")
            below = [each for each in below if each["metadata"].get("labels", {}).get(key) == value]
        return (200, {"items": below}) if path.rpartition("/")[2] in LISTS else (404, {"message": f"{path} not found"})


def _frames(code: int, text: str, *, is_cut: bool) -> Iterator[bytes]:
    """What a command prints, how it ended unless the connection is cut before that, and the end."""
    cause = {"reason": "ExitCode", "message": str(code)}
    failure = {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": [cause]}}
    ended = json.dumps(failure if code else {"status": "Success"}).encode()
    told = [(BINARY, bytes([STDOUT]) + text.encode()), (BINARY, bytes([ENDED]) + ended)]
    for opcode, data in (*told[: 1 if is_cut else 2], (CLOSE, struct.pack(">H", 1000))):
        length = bytes([len(data)]) if len(data) < 126 else b"\x7f" + struct.pack(">Q", len(data))
        yield bytes([opcode]) + length + data


class Handler(BaseHTTPRequestHandler):
    """Answers as `api` says."""

    api: Api
    protocol_version = "HTTP/1.1"
    # Otherwise each answer waits 40 ms for the acknowledgement of its head.
    disable_nagle_algorithm = True

    def _any(self) -> None:
        if self.headers.get("Upgrade") == "websocket" and not self.api.is_closed(self.path):
            self._run()
            return
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        status, answer = self.api.answer(self.command, self.path, body)
        if self.api.token and self.headers.get("Authorization") != f"Bearer {self.api.token}":
            status, answer = 401, {"message": "Unauthorized"}
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if isinstance(answer, Events):
            self._stream(answer)
            return
        text = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _stream(self, events: Events) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events.of:
            line = json.dumps(event).encode() + b"\n"
            self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
        if events.is_broken_off:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _run(self) -> None:
        """Speak websocket: the head, what the command prints, how it ended, and the end."""
        key = self.headers["Sec-WebSocket-Key"].encode()
        self.send_response(101)
        accepted = base64.b64encode(hashlib.sha1(key + MAGIC).digest()).decode()  # noqa: S324 - the RFC has it so
        for name, value in {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accepted}.items():
            self.send_header(name, value)
        self.send_header("Sec-WebSocket-Protocol", PROTOCOL)
        self.end_headers()
        for frame in _frames(*self.api.ran(self.path), is_cut=self.api.cuts):
            self.wfile.write(frame)
        self.close_connection = True

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _any  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(api: Api, certificate: ssl.SSLContext | None = None) -> Iterator[None]:
    """Answer on a port of loopback, with TLS where there is a certificate."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OfApi", (Handler,), {"api": api}))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_port}"
    if certificate:
        server.socket = certificate.wrap_socket(server.socket, server_side=True)
        api.url = f"https://localhost:{server.server_port}"
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def kubeconfig(path: Path, urls: dict[str, str]) -> Path:
    """A kubeconfig with a context for each address."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url}} for name, url in urls.items()],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "u"}} for name in urls],
        "current-context": next(iter(urls)),
    }
    path.write_text(yaml.safe_dump(document))
    return path
