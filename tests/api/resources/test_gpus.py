"""`/gpus` and `/gpus/{id}`; and what no resource may do, whatever it is asked."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from werkzeug.urls import iri_to_uri

from tests.examples import examples

PARAMETERS = ("start_time", "end_time", "metric", "order", "limit", "offset", "host", "model", "other")
VALUES = st.sampled_from(
    [
        *("", "0", "1", "-1", "10001", "9" * 40, "1e3", "x\0y", "\ud800", "é", "asc", "DESC", "x" * 2000),
        *("2025-07-18T20:42:34Z", "2025-07-18T20:42:34+02:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
        *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2025-07-18 20:42:34 02:00", "2025-07-18"),
        *("DCGM_FI_DEV_GPU_UTIL", "' OR 1=1 --", "1000000000", "\u0661", "\u202e", "\U0001f600", "ß", "%"),
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
    assert {**found["items"][0], "first_seen": "", "silent_for_s": 0.0} == {
        "id": "GPU-a0",
        "uuid": "GPU-a0",
        "host": "a",
        "index": 0,
        "device": "nvidia0",
        "model": "H100",
        "driver_version": None,
        "first_seen": "",
        "last_seen": "2025-07-18T20:44:00Z",
        "silent_for_s": 0.0,
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


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("name", ["MIG-GPU-1/2/0", "MIG-GPU-1%2F2%2F0"])
def test_a_name_may_have_slashes(client: FlaskClient, engine: Engine, name: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE gpus SET identity = 'MIG-GPU-1/2/0', host = 'rack/a' WHERE identity = 'GPU-a0'"))
        connection.execute(text("UPDATE metrics SET name = 'gpu/temp' WHERE name = 'DCGM_FI_DEV_GPU_TEMP'"))
    assert get(client, f"gpus/{name}")["id"] == "MIG-GPU-1/2/0"
    assert len(get(client, f"gpus/{name}/telemetry")["items"]) == 100
    assert [each["name"] for each in get(client, f"gpus/{name}/metrics")["items"]] == ["DCGM_FI_DEV_GPU_UTIL", "gpu/temp"]
    assert get(client, "hosts/rack/a")["name"] == "rack/a"
    assert get(client, "metrics/gpu/temp")["name"] == "gpu/temp"


@pytest.mark.usefixtures("fleet")
def test_a_host_and_index_name_the_gpu_that_appeared_last_there(client: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO gpus (identity, uuid, host, gpu_index) VALUES ('GPU-new', 'GPU-new', 'a', 0)"))
    assert get(client, "gpus/a:0")["id"] == "GPU-new"
    assert [each["id"] for each in get(client, "gpus", host="a")["items"]] == ["GPU-a0", "GPU-new", "GPU-a1"]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=-1", "offset=-1"])
def test_a_refused_number_tells_the_bounds(client: FlaskClient, query: str) -> None:
    problem = client.get(f"/api/v1/gpus?{query}").get_json()
    assert (problem["code"], problem["parameter"]) == ("bad_parameter", query.partition("=")[0])
    assert "from 1 to 1000" in problem["detail"] or "from 0 to 1000000000" in problem["detail"]


@pytest.mark.parametrize("name", ["none", "a:9", "a:x", ":", "%00", "x" * 600, "é", "%ed%a0%80"])
def test_an_unknown_gpu_is_not_found(client: FlaskClient, name: str) -> None:
    for path in (name, f"{name}/telemetry"):
        answer = client.get(f"/api/v1/gpus/{path}")
        assert (answer.status_code, answer.get_json()["code"]) == (404, "gpu_not_found")


@hypothesis(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(["gpus", "gpus/a:0", "gpus/GPU-a0/telemetry", "stats"]),
    query=st.lists(st.tuples(st.sampled_from(PARAMETERS), VALUES), max_size=4),
)
@pytest.mark.usefixtures("fleet")
def test_no_request_is_our_fault(client: FlaskClient, path: str, query: list[tuple[str, str]]) -> None:
    raw = "&".join(f"{name}={iri_to_uri(value.encode(errors='replace').decode())}" for name, value in query)
    answer = client.get(f"/api/v1/{path}?{raw}")
    assert answer.status_code in {200, 400, 404}, (answer.status_code, raw)


@hypothesis(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.text(min_size=1, max_size=30) | st.from_regex(r"a:[0-9]{1,30}", fullmatch=True),
    below=st.sampled_from(["", "/telemetry"]),
)
def test_no_name_of_a_gpu_is_our_fault(client: FlaskClient, name: str, below: str) -> None:
    answer = client.get(f"/api/v1/gpus/{quote(name, safe='')}{below}")
    # Slashes in a name are a path of its own: doubled ones are sent on to the path without.
    assert answer.status_code in {200, 308, 404}, (answer.status_code, name)
