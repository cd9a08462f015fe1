"""A key that is bound to namespaces: each route is closed to it, or shows nothing of another namespace."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine

from telemetry.api import create_app, specification
from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.store import apikeys
from tests.batches import batch, key, now_s, readings

OPEN = {"/usage", "/gpus/{gpu}/allocations", "/events"}
NAMES = defaultdict(lambda: "1", gpu="GPU-1")
FOREIGN = ("theirs", "their-pod", "nobodys")


@pytest.fixture
def app(settings: Settings, engine: Engine, redis_client: redis.Redis) -> Iterator[Flask]:
    """GPU-1 is of both namespaces one after the other and together, GPU-2 of theirs alone."""
    since = now_s() - 7200
    owners: list[tuple[int, str, dict[str, str]]] = [
        *((minute, "GPU-1", {"namespace": "ours", "pod": "our-pod"}) for minute in range(20)),
        *((minute, "GPU-1", {"namespace": "theirs", "pod": "their-pod"}) for minute in range(15, 60)),
        *((minute, "GPU-2", {"namespace": "theirs", "pod": "their-pod"}) for minute in range(60)),
        *((minute, "GPU-3", {"user": "nobodys"}) for minute in range(60)),
    ]
    rows = [(key(gpu=gpu, **labels), since + 60 * minute, float(minute)) for minute, gpu, labels in owners]
    acks = Acks(redis_client, Keys(settings.key_prefix), 60)
    Collector(settings, engine, acks).persist(*wire.encode(batch(readings(*rows))))
    made = create_app(replace(settings, api_access="keys", api_rate_limit=None))
    yield made
    made.extensions["connections"].close()


@pytest.fixture
def bound(app: Flask, engine: Engine) -> FlaskClient:
    return asking(app, engine, "ours")


def asking(app: Flask, engine: Engine, *namespaces: str, scopes: tuple[str, ...] = ("read",)) -> FlaskClient:
    with engine.begin() as connection:
        text = apikeys.create(connection, "-".join(("key", *namespaces)), scopes, None, "a test", namespaces)
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {text}"
    return client


def test_each_route_is_closed_or_shows_nothing_of_another(app: Flask, bound: FlaskClient) -> None:
    operations = list(specification.operations(app))
    assert {path.removeprefix("/api/v1") for path, _, declared in operations if declared.by_namespace} == OPEN
    for path, method, declared in operations:
        answer = bound.open(
            path.format_map(NAMES), method=method, query_string={"start_time": "-1d"} if declared.by_namespace else {}
        )
        if declared.scope is None:
            # It needs no key, and so shows nobody anything.
            assert answer.status_code in {200, 404, 503}, path
        elif declared.by_namespace:
            assert answer.status_code == 200, answer.text
            assert answer.get_json()["items"], path
        else:
            assert (answer.status_code, answer.get_json()["code"]) == (403, "forbidden"), path
        assert not [name for name in FOREIGN if name in answer.text], path


def test_a_bound_key_with_more_scopes_sees_no_more(app: Flask, engine: Engine) -> None:
    client = asking(app, engine, "ours", scopes=("read", "ingest", "admin"))
    for path in ("/api/v1/gpus", "/api/v1/audit", "/api/v1/dead-letters"):
        assert client.get(path).status_code == 403
    assert client.post("/api/v1/telemetry", data=b"").status_code == 403


@pytest.mark.parametrize("query", [{"namespace": "theirs"}, {"namespace": "ours,theirs"}, {"namespace": ["ours", "theirs"]}])
def test_other_namespaces_are_refused_by_name(bound: FlaskClient, query: dict[str, Any]) -> None:
    answer = bound.get("/api/v1/usage", query_string=query)
    assert (answer.status_code, answer.get_json()["parameter"]) == (403, "namespace")


@pytest.mark.parametrize("by", ["gpu", "host", "model", "namespace", "pod,user", "account,job,container"])
def test_usage_is_that_of_its_namespaces_however_it_is_grouped(bound: FlaskClient, by: str) -> None:
    (row,) = bound.get("/api/v1/usage", query_string={"by": by}).get_json()["items"]
    # 15 minutes alone, and half of the 5 that both had it.
    assert row["held_hours"] == pytest.approx(17.5 / 60)
    assert row["free_hours"] == 0
    assert row.get("gpu", "GPU-1") == "GPU-1"


@pytest.mark.parametrize("form", ["json", "csv", "ndjson"])
def test_events_and_allocations_of_both_and_of_all(app: Flask, engine: Engine, bound: FlaskClient, form: str) -> None:
    both, whole = asking(app, engine, "ours", "theirs"), asking(app, engine)
    for path in ("/api/v1/events?start_time=-1d", "/api/v1/gpus/GPU-1/allocations?bridge=10m"):
        query = f"{path}&format={form}"
        assert "our-pod" in bound.get(query).text
        assert "their-pod" not in bound.get(query).text
        assert "their-pod" in both.get(query).text
        assert "their-pod" in whole.get(query).text
    assert "nobodys" not in both.get("/api/v1/events?start_time=-1d").text
    assert both.get("/api/v1/gpus/GPU-3/allocations").get_json()["items"] == []


def test_a_bound_key_opens_the_page_where_it_sees_something(app: Flask, engine: Engine) -> None:
    with engine.begin() as connection:
        text = apikeys.create(connection, "person", ("read",), None, "a test", ("ours",))
    for then, goes_to in (("/", "/owners"), ("/events", "/events")):
        client = app.test_client()
        answer = client.post("/login", data={"key": text, "then": then}, headers={"Origin": "http://localhost"})
        assert (answer.status_code, answer.headers["Location"]) == (303, goes_to)
        assert client.get("/api/v1/usage").status_code == 200
        assert client.get("/api/v1/gpus").status_code == 403
