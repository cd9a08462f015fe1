"""`/gpus`, `/gpus/{id}` and its telemetry."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from werkzeug.urls import iri_to_uri

PARAMETERS = ("start_time", "end_time", "metric", "order", "limit", "offset", "host", "model", "other")
VALUES = st.sampled_from(
    [
        *("", "0", "1", "-1", "10001", "9" * 40, "1e3", "x\0y", "\ud800", "é", "asc", "DESC", "x" * 2000),
        *("2025-07-18T20:42:34Z", "2025-07-18T20:42:34+02:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
        *("2025-07-18", "DCGM_FI_DEV_GPU_UTIL", "' OR 1=1 --"),
    ]
) | st.text(max_size=20)


def get(client: FlaskClient, path: str, **parameters: Any) -> dict[str, Any]:
    answer = client.get(f"/api/v1/{path}", query_string=parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


@pytest.mark.usefixtures("fleet")
def test_gpus_are_listed_by_host_and_index(client: FlaskClient) -> None:
    found = get(client, "gpus")
    assert [(each["host"], each["index"]) for each in found["items"]] == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    assert found["total"] == 4
    assert {**found["items"][0], "first_seen": ""} == {
        "id": "GPU-a0",
        "uuid": "GPU-a0",
        "host": "a",
        "index": 0,
        "device": "nvidia0",
        "model": "H100",
        "driver_version": None,
        "first_seen": "",
    }


@pytest.mark.usefixtures("fleet")
def test_gpus_are_filtered_and_paged(client: FlaskClient) -> None:
    assert [each["id"] for each in get(client, "gpus", host="b")["items"]] == ["GPU-b0", "GPU-b1"]
    assert get(client, "gpus", model="H100", host="b")["total"] == 0
    page = get(client, "gpus", limit=1, offset=2)
    assert ([each["id"] for each in page["items"]], page["total"]) == (["GPU-b0"], 4)


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("name", ["GPU-b1", "b:1"])
def test_a_gpu_is_found_by_uuid_or_by_host_and_index(client: FlaskClient, name: str) -> None:
    assert get(client, f"gpus/{name}")["id"] == "GPU-b1"
    assert get(client, f"gpus/{name}/telemetry", limit=1)["gpu"] == "GPU-b1"


@pytest.mark.usefixtures("fleet")
def test_telemetry_is_in_order_and_complete_over_pages(client: FlaskClient) -> None:
    whole = get(client, "gpus/GPU-a1/telemetry")
    assert len(whole["items"]) == 100
    assert whole["items"][1] == {
        "timestamp": "2025-07-18T20:42:34Z",
        "metric": "DCGM_FI_DEV_GPU_UTIL",
        "value": 1.0,
        "unit": "%",
        "labels": {"pod": "p"},
    }
    for order in ("asc", "desc"):
        paged: list[Any] = []
        offset: int | None = 0
        while offset is not None:
            page = get(client, "gpus/GPU-a1/telemetry", limit=7, offset=offset, order=order)
            paged, offset = paged + page["items"], page["next_offset"]
        assert sorted(paged, key=str) == sorted(whole["items"], key=str)
        assert [each["timestamp"] for each in paged] == sorted((each["timestamp"] for each in paged), reverse=order == "desc")


@pytest.mark.usefixtures("fleet")
def test_both_ends_of_a_span_are_included(client: FlaskClient) -> None:
    found = get(
        client,
        "gpus/GPU-a0/telemetry",
        metric="DCGM_FI_DEV_GPU_TEMP",
        start_time="2025-07-18T20:42:36Z",
        end_time="2025-07-18T22:42:38+02:00",
    )
    assert [each["value"] for each in found["items"]] == [2.0, 3.0, 4.0]
    unencoded = client.get("/api/v1/gpus/GPU-a0/telemetry?start_time=2025-07-18T22:43:20+02:00")
    assert len(unencoded.get_json()["items"]) == 8


@pytest.mark.usefixtures("fleet")
def test_metrics_may_be_several(client: FlaskClient) -> None:
    path = "/api/v1/gpus/GPU-a0/telemetry?metric=DCGM_FI_DEV_GPU_TEMP&metric=none&limit=5"
    assert {each["metric"] for each in client.get(path).get_json()["items"]} == {"DCGM_FI_DEV_GPU_TEMP"}


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("limit=-1", "limit"),
        ("offset=x", "offset"),
        ("start_time=yesterday", "start_time"),
        ("start_time=2025-07-18T20:42:34", "start_time"),
        ("start_time=2025-07-19T00:00:00Z&end_time=2025-07-18T00:00:00Z", "start_time"),
        ("order=up", "order"),
        ("metric=", "metric"),
        ("limit=1&limit=2", "limit"),
        ("colour=red", "colour"),
    ],
)
def test_a_bad_parameter_is_refused_by_its_name(client: FlaskClient, query: str, parameter: str) -> None:
    answer = client.get(f"/api/v1/gpus/x/telemetry?{query}")
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
    problem = answer.get_json()
    assert (problem["code"], problem["parameter"], problem["status"]) == ("bad_parameter", parameter, 400)
    assert problem["request_id"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize("name", ["none", "a:9", "a:x", ":", "%00", "x" * 600, "é", "%ed%a0%80"])
def test_an_unknown_gpu_is_not_found(client: FlaskClient, name: str) -> None:
    for path in (name, f"{name}/telemetry"):
        answer = client.get(f"/api/v1/gpus/{path}")
        assert (answer.status_code, answer.get_json()["code"]) == (404, "gpu_not_found")


@hypothesis(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(["gpus", "gpus/a:0", "gpus/GPU-a0/telemetry", "stats"]),
    query=st.lists(st.tuples(st.sampled_from(PARAMETERS), VALUES), max_size=4),
)
@pytest.mark.usefixtures("fleet")
def test_no_request_is_our_fault(client: FlaskClient, path: str, query: list[tuple[str, str]]) -> None:
    raw = "&".join(f"{name}={iri_to_uri(value.encode(errors='replace').decode())}" for name, value in query)
    answer = client.get(f"/api/v1/{path}?{raw}")
    assert answer.status_code in {200, 400}, (answer.status_code, raw)


@pytest.mark.usefixtures("fleet")
def test_the_query_walks_the_index(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO samples SELECT s, '2025-07-18T00:00:00Z'::timestamptz + n * interval '1 s', 1"
                " FROM generate_series(1000, 1100) s, generate_series(1, 500) n"
            )
        )
        connection.execute(text("ANALYZE samples"))
        plan = "\n".join(
            connection.scalars(
                text(
                    "EXPLAIN SELECT * FROM samples WHERE series_id = ANY(ARRAY[1000, 1001]::bigint[])"
                    " AND ts >= '2025-07-18T00:00:00Z' AND ts <= '2025-07-18T00:01:00Z' ORDER BY ts LIMIT 100"
                )
            )
        )
    assert "Index Scan" in plan
    assert "Seq Scan" not in plan
