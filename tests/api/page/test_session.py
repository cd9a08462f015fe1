"""A person's key in a cookie: kept from scripts and other sites, and judged at each request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from telemetry.api import create_app
from telemetry.api.guards.access import COOKIE
from telemetry.api.page.session import own_path
from telemetry.settings import Settings
from telemetry.store import apikeys


@pytest.fixture
def closed(settings: Settings, engine: Engine) -> Iterator[FlaskClient]:
    """A client of an application that asks for keys, logged in with one that may do everything."""
    with engine.begin() as connection:
        key = apikeys.create(connection, "person", ("admin",), None, "a test")
    app = create_app(replace(settings, api_access="keys"))
    with app.test_client() as client:
        client.set_cookie(COOKIE, key)
        yield client
    app.extensions["connections"].close()


def test_the_cookie_is_kept_from_scripts_and_from_other_sites(settings: Settings, engine: Engine) -> None:
    with engine.begin() as connection:
        key = apikeys.create(connection, "person", ("read",), None, "a test")
    app = create_app(replace(settings, api_access="keys"))
    with app.test_client() as client:
        own = {"base_url": "https://centre", "headers": {"Origin": "https://centre"}}
        answer = client.post("/login", data={"key": f" {key}\n", "then": "/pipeline"}, **own)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/pipeline")
        cookie = answer.headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Strict", "Secure", "Path=/"} <= set(cookie.split("; "))
        for sent, more in ((key[:-1], own), (key, own | {"headers": {"Origin": "https://evil"}})):
            refused = client.post("/login", data={"key": sent}, **more)
            assert (refused.status_code, refused.headers.get("Set-Cookie")) == (403, None)
    app.extensions["connections"].close()


def test_the_cookie_reads_and_changes_only_from_a_page_of_its_own(closed: FlaskClient) -> None:
    assert closed.get("/api/v1/audit").status_code == 200
    for origin, status in ((None, 401), ("http://elsewhere", 401), ("http://localhost:1", 401), ("http://localhost", 415)):
        headers = {"Origin": origin} if origin else {}
        assert closed.post("/api/v1/telemetry", headers=headers).status_code == status, origin


@pytest.mark.parametrize(
    "then", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "evil", "/a\nb", "", "//[x"]
)
def test_a_login_goes_on_only_within_the_site(then: str) -> None:
    assert own_path(then) == "/"


def test_a_cookie_of_another_system_locks_nobody_out_of_an_open_one(client: FlaskClient) -> None:
    client.set_cookie(COOKIE, "tk_of_another_system")
    assert client.get("/api/v1/stats").status_code == 200
    assert client.get("/api/v1/stats", headers={"X-API-Key": "tk_wrong_key"}).status_code == 401


def test_a_login_goes_on_to_the_view_that_was_asked_for() -> None:
    assert own_path("/gpus/GPU-1#span=6h") == "/gpus/GPU-1#span=6h"


def test_documents_load_only_what_is_their_own(client: FlaskClient) -> None:
    for path in ("/pipeline", "/gpus/x", "/login", "/page/fleet.js"):
        policy = client.get(path).headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
    assert client.get("/gpus/<script>").get_data(as_text=True).count("<script>") == 0


def test_the_root_is_a_page_for_browsers_and_a_list_for_programs(client: FlaskClient) -> None:
    browser = client.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert browser.mimetype == "text/html"
    assert "Accept" in browser.headers["Vary"]
    assert client.get("/", headers={"Accept": "*/*"}).get_json()["name"] == "telemetry"


def test_the_first_view_is_light(client: FlaskClient) -> None:
    scripts = ("fleet", "api", "words", "draw", "pulse", "colours", "fleet_model", "view", "grid")
    paths = ["/page/page.css", "/page/icon.svg", *(f"/page/{name}.js" for name in scripts)]
    answers = [client.get(path, headers={"Accept-Encoding": "gzip"}) for path in paths]
    assert {answer.status_code for answer in answers} == {200}
    assert sum(len(answer.data) for answer in answers) < 30_000
    again = client.get(paths[0], headers={"If-None-Match": answers[0].headers["ETag"]})
    assert again.status_code == 304
