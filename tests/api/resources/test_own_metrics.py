"""`/metrics` of the API, alone and behind gunicorn's workers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from flask.testing import FlaskClient

from telemetry.api import create_app
from telemetry.settings import Settings
from tests.ports import free_port
from tests.scrape import answer, get, parse, scrape, total
from tests.waiting import eventually

REQUESTS = "telemetry_api_request_seconds_count"


def test_requests_are_counted_by_route_and_not_by_path(client: FlaskClient) -> None:
    def counted(route: str) -> float:
        return total(parse(client.get("/metrics").text), REQUESTS, route=route, method="GET", status="404") or 0

    routes = ("none", "/api/v1/gpus/<gpu>")
    before = [counted(route) for route in routes]
    for path in ("/made/up", "/another", "/api/v1/gpus/GPU-none"):
        client.get(path)
    assert [counted(route) - was for route, was in zip(routes, before, strict=True)] == [2, 1]
    shown = parse(client.get("/metrics").text)
    assert total(shown, "message_queue_connection_status", cluster="central", component="api") == 1


def test_a_broker_that_is_away_is_told(environ: Mapping[str, str]) -> None:
    app = create_app(Settings.load({**environ, "TELEMETRY_BROKER_URL": f"redis://127.0.0.1:{free_port()}"}))
    shown = parse(app.test_client().get("/metrics").text)
    assert total(shown, "message_queue_connection_status", component="api") == 0
    app.extensions["connections"].close()


def test_one_of_several_brokers_that_is_away_is_told(settings: Settings) -> None:
    urls = (("north", settings.broker_url), ("south", "redis://127.0.0.1:1/0"))
    for several, answers in ((urls, 0), (urls[:1], 1)):
        app = create_app(replace(settings, broker_urls=several))
        shown = parse(app.test_client().get("/metrics").text)
        assert total(shown, "message_queue_connection_status", component="api") == answers
        app.extensions["connections"].close()


@pytest.fixture
def gunicorn(environ: dict[str, str], tmp_path: Path) -> Iterator[int]:
    port = free_port()
    with (tmp_path / "gunicorn.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(Path(sys.executable).parent / "gunicorn", "--workers", "3", "--threads", "4", "--bind", f"127.0.0.1:{port}"),
                *("--no-control-socket", "--config", "python:telemetry.api.gunicorn_conf", "telemetry.api:create_app()"),
            ],
            env={"PATH": "/usr/bin:/bin", **environ, "TELEMETRY_API_ACCESS": "open"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    eventually(lambda: answer(port, "/")[0] == 200, 20)
    yield port
    process.terminate()
    process.wait(20)


def test_workers_count_together(gunicorn: int, promtool: str) -> None:
    url = f"http://127.0.0.1:{gunicorn}/api/v1/stats"
    assert [httpx.get(url).status_code for _ in range(30)] == [200] * 30
    assert total(scrape(gunicorn), REQUESTS, route="/api/v1/stats", status="200") == 30
    done = subprocess.run(
        [promtool, "check", "metrics"], input=get(gunicorn, "/metrics")[1], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
