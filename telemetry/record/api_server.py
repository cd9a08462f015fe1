"""A Kubernetes API server, over HTTP: that of the cluster in which this pod runs, or one at a URL such as `kubectl proxy`'s.

The token is that of the pod's account. It is renewed in its file, so it is read for each request.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from telemetry.record.taken import SourceError
from telemetry.redaction import blot

Object = dict[str, Any]
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# Of a page of a list, or of an event of a watch: no object is larger than 1.5 MiB.
MOST_BYTES = 64 << 20
PIECE_BYTES = 64 << 10


class GoneError(SourceError):
    """What was to be watched from a version on is not known from there any more (410)."""


class AbsentError(SourceError):
    """The server has no such collection (404)."""


class ApiServer:
    """A server at a URL, below its path, read directly, through no proxy. An answer has `timeout_s` between two of its pieces.

    `account` is a directory with `token` and `ca.crt`; without it neither is used.
    """

    def __init__(self, url: str, timeout_s: float, stopping: threading.Event, account: Path | None = None) -> None:
        self.shown = blot(url)
        try:
            parts = urlsplit(url)
            self.port = parts.port
        except ValueError:
            raise SourceError(f"{self.shown} is no address") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SourceError(f"{self.shown} is no http:// or https:// address")
        self.parts, self.timeout_s, self.stopping, self.account = parts, timeout_s, stopping, account

    @classmethod
    def of_this_pod(cls, timeout_s: float, stopping: threading.Event) -> ApiServer:
        """The server of the cluster in which this process is a pod. Raises SourceError if it is none."""
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        if not host:
            raise SourceError("this is no pod of Kubernetes; give the address of its API, such as that of kubectl proxy")
        bracketed = f"[{host}]" if ":" in host else host
        return cls(f"https://{bracketed}:{port}", timeout_s, stopping, ACCOUNT)

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Object:
        """An object or a list. Raises AbsentError, GoneError, SourceError."""
        return self._decoded(path, b"".join(self._pieces(path, query or {})))

    def watch(self, path: str, query: Mapping[str, str]) -> Iterator[Object]:
        """The events of a watch, until the server ends it. Raises as `get` does, also where it breaks off."""
        rest = b""
        for piece in self._pieces(path, query):
            *lines, rest = (rest + piece).split(b"\n")
            if len(rest) > MOST_BYTES:
                raise SourceError(f"{self.shown}{path} sends an event of more than {MOST_BYTES} bytes")
            yield from (self._decoded(path, line) for line in lines if line.strip())
        if rest.strip():
            raise SourceError(f"{self.shown}{path} broke off its answer")

    def _pieces(self, path: str, query: Mapping[str, str]) -> Iterator[bytes]:
        connection = self._connection()
        size_bytes, is_watch = 0, "watch" in query
        try:
            target = self.parts.path.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
            connection.request("GET", target, headers=self._headers())
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                self._refused(path, answer.status, answer.read(PIECE_BYTES))
            while piece := answer.read1(PIECE_BYTES):
                size_bytes += len(piece)
                if size_bytes > MOST_BYTES and not is_watch:
                    raise SourceError(f"{self.shown}{path} answers more than {MOST_BYTES} bytes")
                if self.stopping.is_set():
                    raise SourceError(f"{self.shown}{path} was left, as this process ends")
                yield piece
            if answer.length:
                raise SourceError(f"{self.shown}{path} broke off its answer")
        except (OSError, http.client.HTTPException) as error:
            raise SourceError(f"{self.shown}{path} cannot be read: {error or type(error).__name__}") from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host = str(self.parts.hostname)
        if self.parts.scheme == "http":
            return http.client.HTTPConnection(host, self.port, timeout=self.timeout_s)
        try:
            trusted = ssl.create_default_context(cafile=str(self.account / "ca.crt") if self.account else None)
        except OSError as error:
            raise SourceError(f"the certificate of the cluster's authority cannot be read: {error}") from error
        return http.client.HTTPSConnection(host, self.port, timeout=self.timeout_s, context=trusted)

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if self.account:
            try:
                headers["Authorization"] = f"Bearer {(self.account / 'token').read_text().strip()}"
            except OSError as error:
                raise SourceError(f"the token of this pod's account cannot be read: {error}") from error
        return headers

    def _refused(self, path: str, status: int, body: bytes) -> None:
        if status == http.client.GONE:
            raise GoneError(f"{self.shown}{path} has changed too much since (410)")
        if status == http.client.NOT_FOUND:
            raise AbsentError(f"{self.shown}{path} is not there (404)")
        try:
            said = str(json.loads(body)["message"])
        except (ValueError, KeyError, TypeError):
            said = http.client.responses.get(status, "")
        raise SourceError(f"{self.shown}{path} answers {status}: {said}")

    def _decoded(self, path: str, text: bytes) -> Object:
        try:
            document = json.loads(text)
        except ValueError as error:
            raise SourceError(f"{self.shown}{path} does not answer in JSON: {error}") from error
        if not isinstance(document, dict):
            raise SourceError(f"{self.shown}{path} does not answer as Kubernetes does")
        return document
