"""ETags, compression, CORS and rate limits."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from telemetry.api import create_app
from telemetry.settings import Settings

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
    streamed = client.get(f"{PATH}?format=csv", headers={"Accept-Encoding": "zstd"})
    assert (streamed.headers["Content-Encoding"], streamed.data[:4]) == ("zstd", b"\x28\xb5\x2f\xfd")
    packed_already = client.get(f"{PATH}?format=parquet", headers={"Accept-Encoding": "zstd"})
    assert ("Content-Encoding" in packed_already.headers, packed_already.data[:4]) == (False, b"PAR1")


def test_pages_of_other_origins_are_let_in_only_if_set(client: FlaskClient, serve: Callable[..., FlaskClient]) -> None:
    page = {"Origin": "https://dash.example"}
    assert "Access-Control-Allow-Origin" not in client.get("/api/v1/health/live", headers=page).headers
    told = serve(api_cors_origins=("https://dash.example",))
    assert told.get("/api/v1/stats", headers=page).headers["Access-Control-Allow-Origin"] == "https://dash.example"
    assert told.get("/api/v1/stats", headers=page).status_code == 200
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
    # Another key has a count of its own, and its secret part is not in Redis.
    assert one.get("/api/v1/stats", headers={"X-API-Key": "tk_abc_secret"}).status_code == 401
    keys = str(list(redis_client.scan_iter()))
    assert ":rates" in keys
    assert "secret" not in keys


def test_without_a_broker_each_process_counts_alone(serve: Callable[..., FlaskClient]) -> None:
    client = serve(api_rate_limit="2/hour", broker_url="redis://127.0.0.1:1/0")
    assert [client.get("/api/v1/health/ready").status_code, client.get("/").status_code] == [200, 200]
    assert [client.get("/").status_code for _ in range(2)] == [200, 429]
