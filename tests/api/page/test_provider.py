"""A login by a provider: who is let in, what they may do, and what is said to those who are not."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from telemetry.api import create_app
from telemetry.api.guards.access import COOKIE
from telemetry.api.page import provider as provider_module
from telemetry.settings import Settings, SettingsError
from telemetry.store import apikeys
from tests.fixtures.provider import CLIENT, SECRET, Running
from tests.fixtures.services import Query

Enter = Callable[..., Any]


@pytest.fixture
def app(environ: dict[str, str], provider: Running, engine: Engine) -> Iterator[Flask]:
    """An application that lets people in by the provider."""
    made = create_app(Settings.load({**environ, **provider.variables, "TELEMETRY_API_ACCESS": "keys"}))
    yield made
    made.extensions["connections"].close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def enter(client: FlaskClient, provider: Running) -> Enter:
    """Log in as the one who comes next: the answer to the last step."""

    def go(then: str = "/pipeline") -> Any:
        sent = client.get("/login/oidc", query_string={"then": then})
        assert sent.status_code == 302, words(sent)
        return client.get(provider.signed_in(sent.headers["Location"]))

    return go


def words(answer: Any) -> str:
    """What is said to a person who is refused."""
    alert = re.search(r'role="alert">(.*?)</p>', answer.text, re.DOTALL)
    return unescape(alert[1]) if alert else answer.text


def test_a_person_comes_in_reads_and_goes(client: FlaskClient, enter: Enter, query: Query) -> None:
    answer = enter("/gpus/GPU-1#span=6h")
    assert answer.status_code == 200
    assert 'content="0; url=/gpus/GPU-1#span=6h"' in answer.text
    cookies = {text.partition("=")[0]: set(text.split("; ")) for text in answer.headers.getlist("Set-Cookie")}
    assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=28800"} <= cookies[COOKIE]
    assert "Max-Age=0" in cookies["telemetry_login"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert client.get("/api/v1/stats").status_code == 200
    assert client.get("/api/v1/audit").status_code == 403
    [(name, scopes, left)] = query("SELECT name, scopes, expires_at - now() < interval '8 hours' FROM api_keys")
    assert (name.rpartition(" ")[0], scopes, left) == ("login alice", ["read"], True)
    assert query("SELECT actor, action, target FROM audit_log") == [("login of alice", "apikey.create", name)]
    key = client.get_cookie(COOKIE)
    assert client.post("/logout", headers={"Origin": "http://elsewhere"}).status_code == 303
    assert client.get("/api/v1/stats").status_code == 200
    gone = client.post("/logout", headers={"Origin": "http://localhost"})
    assert (gone.status_code, gone.headers["Location"]) == (303, "/login")
    assert client.get("/api/v1/stats").status_code == 401
    # Who kept the cookie has nothing by it.
    assert key
    client.set_cookie(COOKIE, key.value)
    assert client.get("/api/v1/stats").status_code == 401


def test_what_is_sent_to_the_provider_and_what_waits_for_the_answer(client: FlaskClient) -> None:
    sent = client.get("/login/oidc?then=//evil.example", base_url="https://localhost")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(sent.headers["Location"]).query).items()}
    assert (asked["client_id"], asked["response_type"], asked["scope"]) == (CLIENT, "code", "openid profile email")
    assert asked["redirect_uri"] == "https://localhost/login/oidc/callback"
    assert asked["code_challenge_method"] == "S256"
    assert min(len(asked[name]) for name in ("state", "nonce", "code_challenge")) >= 20
    assert sent.headers["Cache-Control"] == "no-store"
    (cookie,) = sent.headers.getlist("Set-Cookie")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/login"} <= set(cookie.split("; "))


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("nonce", "of another login"),
        ("no nonce", "of another login"),
        ("audience", "for another client"),
        ("audience of ours", "for another client"),
        ("issuer", "of another issuer"),
        ("expired", "clocks of both machines"),
        ("to come", "clocks of both machines"),
        ("unknown key", "signed by none of its keys"),
        ("forged", "signed by none of its keys"),
        ("shared secret", "signed by none of its keys"),
        ("none", "signed by none of its keys"),
        ("no id token", "sent no ID token"),
        ("denied", "did not let you in"),
    ],
)
def test_a_token_that_is_not_as_it_must_be_lets_nobody_in(
    client: FlaskClient, enter: Enter, provider: Running, query: Query, fault: str, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    provider.next(fault=fault)
    answer = enter()
    assert (answer.status_code, client.get_cookie(COOKIE)) == (403, None)
    assert says in words(answer)
    assert query("SELECT count(*) FROM api_keys") == [(0,)]
    assert "a login by" in caplog.text
    for secret in (SECRET, "code_verifier", "eyJ"):
        assert secret not in caplog.text
    provider.next()
    assert enter().status_code == 200


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"groups": []}, "None of your groups may open this page. You are in: none."),
        ({"groups": ["visitors", "<b>"]}, "You are in: visitors, <b>."),
        ({"groups": ["uploaders"]}, "You are in: uploaders."),
        ({"groups": None}, "no claim groups"),
        ({"groups": {"gpu-users": 1}}, "no claim groups"),
    ],
)
def test_who_has_no_group_is_told_what_is_missing(enter: Enter, provider: Running, claims: dict[str, Any], says: str) -> None:
    provider.next(claims={"sub": "u1", "preferred_username": "alice"} | claims)
    answer = enter()
    assert answer.status_code == 403
    assert says in words(answer)
    assert "<b>" not in answer.text


@pytest.mark.parametrize(
    ("members", "scopes", "namespaces"),
    [
        (["gpu-admins", "gpu-users"], ["admin", "read"], []),
        (["gpu-users", "uploaders"], ["ingest", "read"], []),
        (["team/ours"], ["read"], ["ours"]),
        (["team/ours", "uploaders"], ["read"], ["ours"]),
        (["team/ours", "gpu-users"], ["read"], []),
    ],
)
def test_groups_give_scopes_and_namespaces(
    enter: Enter, provider: Running, query: Query, members: list[str], scopes: list[str], namespaces: list[str]
) -> None:
    provider.next(claims={"sub": "u1", "groups": members})
    assert enter().status_code == 200
    assert query("SELECT scopes, namespaces FROM api_keys") == [(scopes, namespaces)]


def test_groups_may_stand_beside_the_token_but_not_of_somebody_else(enter: Enter, provider: Running, query: Query) -> None:
    provider.next(claims={"sub": "u1"}, userinfo={"sub": "u2", "groups": ["gpu-admins"]})
    assert "no claim groups" in words(enter())
    provider.next(claims={"sub": "u1"}, userinfo={"groups": ["gpu-admins"]})
    assert enter().status_code == 200
    assert query("SELECT scopes FROM api_keys") == [(["admin"],)]


def test_an_answer_without_this_browsers_state_says_nothing(app: Flask, client: FlaskClient, provider: Running) -> None:
    answered = provider.signed_in(client.get("/login/oidc").headers["Location"])
    stranger = app.test_client()
    for place in (answered, "/login/oidc/callback", "/login/oidc/callback?error=x&error_description=send+money&state=1"):
        assert "begun in another browser" in words(stranger.get(place))
    assert client.get(answered).status_code == 200
    # A code and a state are of use once.
    assert "begun in another browser" in words(client.get(answered))


def test_a_provider_that_renews_its_keys_is_believed_at_once(enter: Enter, provider: Running) -> None:
    assert enter().status_code == 200
    provider.next(**{"new key": True})
    assert enter().status_code == 200


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"issuer": "https://another.example.org"}, "calls itself 'https://another.example.org'"),
        ({"jwks_uri": None}, "names no jwks_uri"),
        ({"id_token_signing_alg_values_supported": ["HS256", "none"]}, "signs by no key of its own"),
        ({"code_challenge_methods_supported": ["plain"]}, "does not know PKCE"),
    ],
)
def test_a_provider_that_is_not_set_up_right_is_asked_again(
    client: FlaskClient, enter: Enter, provider: Running, metadata: dict[str, Any], says: str
) -> None:
    provider.next(metadata=metadata)
    answer = client.get("/login/oidc")
    assert answer.status_code == 403
    assert says in words(answer)
    provider.next()
    assert enter().status_code == 200


def test_a_provider_that_is_away_or_knows_another_secret_is_named(
    environ: dict[str, str], provider: Running, engine: Engine
) -> None:
    for change, says in (
        ({"TELEMETRY_OIDC_ISSUER": "http://localhost:9"}, "http://localhost:9 does not answer"),
        ({"TELEMETRY_OIDC_CLIENT_SECRET": "another"}, "TELEMETRY_OIDC_CLIENT_SECRET must be those"),
    ):
        variables = {**environ, **provider.variables, "TELEMETRY_API_ACCESS": "keys", **change}
        if "TELEMETRY_OIDC_CLIENT_SECRET" in change:
            del variables["TELEMETRY_OIDC_CLIENT_SECRET_FILE"]
        app = create_app(Settings.load(variables))
        client = app.test_client()
        answer = client.get("/login/oidc")
        if answer.status_code == 302:
            answer = client.get(provider.signed_in(answer.headers["Location"]))
        assert answer.status_code == 403
        assert says in words(answer)
        app.extensions["connections"].close()


def test_the_address_of_the_page_may_be_set(environ: dict[str, str], provider: Running, engine: Engine) -> None:
    app = create_app(Settings.load({**environ, **provider.variables, "TELEMETRY_PAGE_URL": "https://gpus.example.org/"}))
    client = app.test_client()
    assert 'href="https://gpus.example.org/login/oidc?then=/gpus/a%23span"' in client.get("/login?then=/gpus/a%23span").text
    asked = parse_qs(urlsplit(client.get("/login/oidc").headers["Location"]).query)
    assert asked["redirect_uri"] == ["https://gpus.example.org/login/oidc/callback"]
    app.extensions["connections"].close()


def test_without_a_provider_there_is_no_such_login(settings: Settings, engine: Engine) -> None:
    app = create_app(settings)
    client = app.test_client()
    assert "account" not in client.get("/login").text
    assert (client.get("/login/oidc").status_code, client.get("/login/oidc/callback").status_code) == (404, 404)
    assert app.secret_key is None
    app.extensions["connections"].close()


def test_what_is_not_installed_is_named(
    environ: dict[str, str], provider: Running, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_module, "LIBRARIES", ("authlib", "a_library_that_nobody_has"))
    with pytest.raises(SettingsError, match=r"needs a_library_that_nobody_has; install telemetry-pipeline\[oidc\]"):
        create_app(Settings.load({**environ, **provider.variables}))


def test_keys_of_logins_that_are_over_go(engine: Engine, query: Query) -> None:
    with engine.begin() as connection:
        apikeys.create(connection, "kept", ("read",), None, "a test")
        apikeys.log_in(connection, "bob", ("read",), (), 60)
        connection.execute(text("UPDATE api_keys SET expires_at = now() - interval '25 hours'"))
        apikeys.log_in(connection, "carol", ("read",), (), 60)
    assert query("SELECT split_part(name, ' ', 2) FROM api_keys WHERE name LIKE 'login %'") == [("carol",)]
    assert query("SELECT count(*) FROM api_keys WHERE name = 'kept'") == [(1,)]
