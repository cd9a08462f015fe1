"""The API of a cluster as a pod reaches it: by TLS, with the token of its account, through no proxy."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path

import pytest

from telemetry.record import api_server
from telemetry.record.api_server import ApiServer, GoneError
from telemetry.record.taken import SourceError
from tests.chart.tls import certificates
from tests.deploy.kubernetes import serving
from tests.ports import free_port
from tests.record.cluster import PODS, WatchedApi

FIRST, SECOND = "first", "second"


def test_a_pod_knows_the_server_by_its_authority_and_shows_its_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, key, certificate = certificates(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    monkeypatch.setattr(api_server, "ACCOUNT", tmp_path)
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{free_port()}")
    api = WatchedApi()
    api.token = FIRST
    with serving(api, context):
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "localhost")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", api.url.rpartition(":")[2])
        server = ApiServer.of_this_pod(5, threading.Event())
        with pytest.raises(SourceError, match="the token of this pod's account cannot be read"):
            server.get(PODS, {"limit": "1"})
        (tmp_path / "token").write_text(f"{FIRST}\n")
        assert server.get(PODS, {"limit": "1"})["items"] == []
        # Another token is in the file before the old one is over.
        api.token = SECOND
        with pytest.raises(SourceError, match="answers 401: Unauthorized"):
            server.get(PODS, {"limit": "1"})
        (tmp_path / "token").write_text(SECOND)
        assert server.get(PODS, {"limit": "1"})["items"] == []
        (tmp_path / "ca.crt").write_text(certificate.read_text())
        with pytest.raises(SourceError, match="cannot be read"):
            server.get(PODS, {"limit": "1"})


def test_a_server_that_is_away_and_one_that_never_was(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        ApiServer(f"http://127.0.0.1:{free_port()}", 1, threading.Event()).get(PODS)
    with serving(api := WatchedApi()), pytest.raises(SourceError, match=r"/nothing is not there \(404\)"):
        ApiServer(api.url, 5, threading.Event()).get("/nothing")
    with pytest.raises(SourceError, match="no http:// or https:// address"):
        ApiServer("localhost:8001", 1, threading.Event())
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(SourceError, match="this is no pod of Kubernetes"):
        ApiServer.of_this_pod(1, threading.Event())


def test_a_server_may_stand_below_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    api = WatchedApi()
    monkeypatch.setattr(api, "answer", lambda method, target, _: (200, {"asked": f"{method} {target}"}))
    with serving(api):
        server = ApiServer(f"{api.url}/clusters/c-1/", 5, threading.Event())
        assert server.get(PODS, {"limit": "1"}) == {"asked": f"GET /clusters/c-1{PODS}?limit=1"}


@pytest.mark.parametrize("answer", [(410, {"message": "too old"}), (200, "no json"), (200, [1])])
def test_an_answer_of_another_kind(answer: tuple[int, object], monkeypatch: pytest.MonkeyPatch) -> None:
    api = WatchedApi()
    monkeypatch.setattr(api, "answer", lambda *_: answer)
    with serving(api), pytest.raises(GoneError if answer[0] == 410 else SourceError):
        ApiServer(api.url, 5, threading.Event()).get(PODS)
