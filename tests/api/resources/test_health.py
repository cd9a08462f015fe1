"""`/health`: what is well, what is away, what hangs; and the server that a node runs."""

from __future__ import annotations

import re
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from flask.testing import FlaskClient

from telemetry.api import create_app
from telemetry.api.core.shared import Shared
from telemetry.local.servers import Postgres, Valkey
from telemetry.local.servers.server import Server
from telemetry.settings import Settings
from telemetry.store import migrate
from telemetry.store.engine import make_engine
from tests.fixtures.processes import Start, send
from tests.ports import free_port
from tests.waiting import eventually


def test_all_is_well(client: FlaskClient) -> None:
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.get_json() == {
        "status": "ok",
        "database": {"status": "ok", "revision": migrate.head()},
        "broker": {"status": "ok"},
    }


@pytest.mark.parametrize("part", ["database", "broker"])
def test_the_part_that_is_away_is_named_and_no_secret(settings: Settings, part: str) -> None:
    away = {
        "database": replace(settings, database_url="postgresql+psycopg://u:secret@127.0.0.1:1/none"),
        "broker": replace(settings, broker_url="redis://u:secret@127.0.0.1:1/0"),
    }
    app = create_app(replace(away[part], api_access="open"))
    begun = time.monotonic()
    answer = app.test_client().get("/health")
    assert time.monotonic() - begun < 6
    assert answer.status_code == 503
    found = answer.get_json()
    assert found[part]["status"] == "unreachable"
    assert abs(datetime.now(UTC) - datetime.fromisoformat(found[part]["since"])) < timedelta(minutes=1)
    assert f"TELEMETRY_{part.upper()}_URL" in found[part]["mend"]
    again = app.test_client().get("/health").get_json()
    assert again[part]["since"] == found[part]["since"]
    assert [name for name in ("database", "broker") if found[name]["status"] == "ok"] == [
        {"database": "broker"}.get(part, "database")
    ]
    assert "secret" not in answer.text
    if part == "database":
        refused = app.test_client().get("/api/v1/gpus")
        assert (refused.status_code, refused.get_json()["code"]) == (503, "database_unavailable")
        assert "secret" not in refused.text
    app.extensions["connections"].close()


def test_of_several_brokers_the_one_that_is_away_is_named(settings: Settings) -> None:
    urls = (("north", settings.broker_url), ("south", "redis://u:secret@127.0.0.1:1/0"))
    app = create_app(replace(settings, broker_urls=urls))
    answer = app.test_client().get("/health")
    assert answer.status_code == 503
    found = answer.get_json()
    assert found["brokers"]["north"] == {"status": "ok"}
    assert found["brokers"]["south"]["status"] == found["broker"]["status"] == "unreachable"
    assert "secret" not in answer.text
    app.extensions["connections"].close()


def test_a_database_without_the_schema_says_how_to_make_it(settings: Settings, empty_database_url: str) -> None:
    app = create_app(replace(settings, database_url=empty_database_url.replace("postgresql:", "postgresql+psycopg:")))
    assert "telemetry db upgrade" in app.test_client().get("/health").get_json()["database"]["mend"]
    app.extensions["connections"].close()


def test_the_root_tells_where_things_are(client: FlaskClient) -> None:
    found = client.get("/").get_json()
    known = [rule for rule in client.application.url_map.iter_rules() if not rule.endpoint.startswith("page.")]
    rules = {"/", *(re.sub(r"<(?:path:)?(\w+)>", r"{\1}", rule.rule) for rule in known)}
    assert rules == {"/", "/api/v1", *found["resources"]}
    assert client.get("/api/v1").get_json() == client.get("/api/v1/").get_json() == found


@pytest.fixture(scope="module")
def own() -> Iterator[tuple[Postgres, Valkey]]:
    """Servers that nobody else uses, so that they may be stopped in their tracks."""
    with tempfile.TemporaryDirectory(prefix="telemetry-health-") as name:
        Path(name).chmod(0o755)
        with Postgres(Path(name) / "postgres", {"fsync": "off"}) as postgres, Valkey(Path(name) / "valkey", {}) as valkey:
            engine = make_engine(Settings.load({"TELEMETRY_DATABASE_URL": postgres.url}), application="test")
            migrate.upgrade(engine)
            engine.dispose()
            yield postgres, valkey


@pytest.mark.parametrize("frozen", ["database", "broker"])
def test_a_part_that_hangs_does_not_hang_the_answer(own: tuple[Postgres, Valkey], frozen: str) -> None:
    postgres, valkey = own
    told = {"TELEMETRY_DATABASE_URL": postgres.url, "TELEMETRY_BROKER_URL": valkey.url, "TELEMETRY_API_ACCESS": "open"}
    app = create_app(Settings.load(told))
    client = app.test_client()
    assert client.get("/api/v1/stats").status_code == 200
    assert client.get("/health").status_code == 200
    server: Server = {"database": postgres, "broker": valkey}[frozen]
    threads = threading.active_count()
    send(server, signal.SIGSTOP)
    # What was answered before is given for a moment more.
    app.extensions["shared"] = Shared()
    try:
        if frozen == "database":
            # Neither does a query wait for ever: a thread that did would be lost.
            for _ in range(2):
                begun = time.monotonic()
                assert client.get("/api/v1/stats").status_code == 503
                assert time.monotonic() - begun < 5
        for _ in range(2):
            begun = time.monotonic()
            answer = client.get("/health")
            assert time.monotonic() - begun < 5
            assert answer.status_code == 503
            parts = {name: each["status"] for name, each in answer.get_json().items() if name != "status"}
            # The broker's client has its own time limit, so by the second question it may have given up.
            assert parts.pop(frozen) in {"not answering", "unreachable"}
            assert set(parts.values()) == {"ok"}
            assert answer.get_json()[frozen].keys() >= {"since", "mend"}
        assert threading.active_count() <= threads + 1
    finally:
        send(server, signal.SIGCONT)
    eventually(lambda: client.get("/health").status_code == 200, 20)
    assert "since" not in client.get("/health").get_json()[frozen]
    app.extensions["connections"].close()


def test_reads_do_not_wait_for_a_frozen_broker(own: tuple[Postgres, Valkey], caplog: pytest.LogCaptureFixture) -> None:
    postgres, valkey = own
    names = {"TELEMETRY_DATABASE_URL": postgres.url, "TELEMETRY_BROKER_URL": valkey.url, "TELEMETRY_API_ACCESS": "open"}
    app = create_app(Settings.load(names))

    def read(path: str) -> tuple[int, float]:
        begun = time.monotonic()
        return app.test_client().get(path).status_code, time.monotonic() - begun

    paths = [f"/api/v1/{name}" for name in ("stats", "gpus", "hosts", "metrics")]
    # All connections exist before the freeze: a connection at work hangs in another place than a new one.
    with ThreadPoolExecutor(8) as threads:
        assert {status for status, _ in threads.map(read, paths * 4)} == {200}
        send(valkey, signal.SIGSTOP)
        try:
            # The first eight meet the loss together.
            answers = list(threads.map(read, paths * 4))
            answers += [read(path) for path in paths]
        finally:
            send(valkey, signal.SIGCONT)
    assert {status for status, _ in answers} == {200}
    assert max(wait_s for _, wait_s in answers) < 1.5
    assert sum("Rate limit storage" in record.message for record in caplog.records) <= 8
    assert not [record for record in caplog.records if record.exc_info]
    app.extensions["connections"].close()


@pytest.mark.parametrize("options", [[], ["--preload", "--threads", "4"]])
def test_gunicorn_serves_it(start: Start, environ: Mapping[str, str], options: list[str]) -> None:
    port = free_port()
    start(
        *("gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "2", "--no-control-socket", *options),
        "telemetry.api:create_app()",
        TELEMETRY_API_ACCESS="open",
    )

    def answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
        except httpx.TransportError:
            return False

    eventually(answers, 20)
    with ThreadPoolExecutor(8) as many:
        urls = [f"http://127.0.0.1:{port}{path}" for path in ("/health", "/api/v1/stats", "/api/v1/gpus") * 10]
        assert {answer.status_code for answer in many.map(httpx.get, urls)} == {200}
