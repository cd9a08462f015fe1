"""ETags, compression, CORS and rate limits."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine

from telemetry.api import create_app
from telemetry.api.answers import tables
from telemetry.settings import Settings
from telemetry.store import apikeys

PATH = "/api/v1/gpus/GPU-a0/telemetry"


@pytest.fixture
def serve(settings: Settings) -> Iterator[Callable[..., FlaskClient]]:
    """A client of an application with other settings."""
    made: list[Flask] = []

    def begin(**changes: object) -> FlaskClient:
        made.append(create_app(replace(settings, api_access="open", **changes)))  # type: ignore[arg-type]
        return made[-1].test_client()

    yield begin
    for app in made:
        app.extensions["connections"].close()


@pytest.mark.usefixtures("fleet")
def test_what_has_not_changed_is_not_sent_again(client: FlaskClient) -> None:
    first = client.get(PATH)
    again = client.get(PATH, headers={"If-None-Match": first.headers["ETag"], "Accept-Encoding": "gzip"})
    assert (again.status_code, again.data) == (304, b"")
    other = client.get(f"{PATH}?limit=1", headers={"If-None-Match": first.headers["ETag"]})
    assert other.status_code == 200
    assert {"accept", "authorization", "accept-encoding"} <= {each.strip().lower() for each in first.headers["Vary"].split(",")}


@pytest.mark.usefixtures("fleet")
def test_answers_are_compressed_for_who_accepts_it(client: FlaskClient) -> None:
    plain = client.get(PATH)
    assert "Content-Encoding" not in plain.headers
    packed = client.get(PATH, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data) / 5
    few = client.get(f"{PATH}?format=csv", headers={"Accept-Encoding": "gzip"})
    assert (few.headers["Content-Encoding"], "ETag" in few.headers) == ("gzip", True)
    packed_already = client.get(f"{PATH}?format=parquet", headers={"Accept-Encoding": "zstd"})
    assert ("Content-Encoding" in packed_already.headers, packed_already.data[:4]) == (False, b"PAR1")


@pytest.mark.usefixtures("fleet")
def test_streams_are_compressed_too(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "WHOLE_BYTES", 100)
    encodings = ("", "zstd, gzip", "gzip, deflate")
    answers = [client.get(f"{PATH}?format=csv", headers={"Accept-Encoding": each}, buffered=True) for each in encodings]
    plain, packed, deflated = answers
    assert "ETag" not in plain.headers
    assert (packed.headers["Content-Encoding"], packed.data[:4]) == ("zstd", b"\x28\xb5\x2f\xfd")
    assert (deflated.headers["Content-Encoding"], zlib.decompress(deflated.data)) == ("deflate", plain.data)
    for answer in answers:
        assert {"accept", "authorization", "x-api-key"} <= {each.strip().lower() for each in answer.headers["Vary"].split(",")}


def test_pages_of_other_origins_are_let_in_only_if_set(client: FlaskClient, serve: Callable[..., FlaskClient]) -> None:
    page = {"Origin": "https://dash.example"}
    assert "Access-Control-Allow-Origin" not in client.get("/api/v1/health/live", headers=page).headers
    told = serve(api_cors_origins=("https://dash.example",))
    assert told.get("/api/v1/stats", headers=page).headers["Access-Control-Allow-Origin"] == "https://dash.example"
    assert told.get("/api/v1/stats", headers=page).status_code == 200
    assert "Origin" in told.get("/api/v1/stats").vary
    asking = {**page, "Access-Control-Request-Method": "GET"}
    allowed = told.options("/api/v1/stats", headers=asking).headers["Access-Control-Allow-Methods"]
    assert set(allowed.split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    assert "Content-Type" not in told.options("/api/v1/stats").headers
    other = told.get("/api/v1/stats", headers={"Origin": "https://else.example"})
    assert (other.status_code, "Access-Control-Allow-Origin" in other.headers) == (401, False)


def test_too_many_requests_are_told_when_to_come_again(serve: Callable[..., FlaskClient], redis_client: redis.Redis) -> None:
    one, other = serve(api_rate_limit="4/hour"), serve(api_rate_limit="4/hour")
    assert "Retry-After" not in one.get("/").headers
    left = [client.get("/api/v1/stats").headers["X-RateLimit-Remaining"] for client in (one, other, one)]
    assert left == ["2", "1", "0"]
    refused = other.get("/api/v1/stats")
    assert (refused.status_code, refused.get_json()["code"]) == (429, "too_many_requests")
    assert 0 < int(refused.headers["Retry-After"]) <= 3600
    assert other.get("/health").status_code == 200


def test_a_key_has_a_count_of_its_own_once_it_was_found_good(
    serve: Callable[..., FlaskClient], redis_client: redis.Redis, engine: Engine
) -> None:
    client = serve(api_rate_limit="4/hour")
    with engine.begin() as connection:
        key = apikeys.create(connection, "reader", ["read"], None, "a test")
    statuses = [client.get("/api/v1/stats", headers={"X-API-Key": key}).status_code for _ in range(5)]
    # The first was counted for the address: until then it was a claim.
    assert statuses == [200] * 5
    # Who makes keys up stays one address, and leaves nothing in Redis.
    made_up = [client.get("/api/v1/stats", headers={"X-API-Key": f"tk_{n:012x}_secret"}).status_code for n in range(5)]
    assert made_up == [401, 401, 401, 429, 429]
    keys = str(list(redis_client.scan_iter()))
    assert keys.count(":rates") == 2
    assert "secret" not in keys
    assert key not in keys


def test_the_form_is_limited_also_where_the_api_is_not(serve: Callable[..., FlaskClient], redis_client: redis.Redis) -> None:
    client = serve(api_rate_limit=None)
    own = {"Origin": "http://localhost"}
    tries = [client.post("/login", data={"key": f"tk_{n}_x"}, headers=own).status_code for n in range(11)]
    assert (set(tries[:10]), tries[10]) == ({403}, 429)
    assert {client.get("/api/v1/stats").status_code for _ in range(20)} == {200}


def test_without_a_broker_each_process_counts_alone(serve: Callable[..., FlaskClient]) -> None:
    client = serve(api_rate_limit="2/hour", broker_url="redis://127.0.0.1:1/0")
    assert [client.get("/api/v1/health/ready").status_code, client.get("/").status_code] == [200, 200]
    assert [client.get("/").status_code for _ in range(2)] == [200, 429]
