"""`/gpus/{id}/telemetry`: the readings of one GPU, in order, complete over pages, read off the index."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, event, text

from telemetry.store import partitions

DAY = datetime(2025, 7, 18, tzinfo=UTC)
DAYS = 3
A_DAY = 2000
PATH = "/api/v1/gpus/GPU-a0/telemetry"


def get(client: FlaskClient, path: str, **parameters: Any) -> dict[str, Any]:
    answer = client.get(f"/api/v1/{path}", query_string=parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


@pytest.fixture
def history(engine: Engine, fleet: None) -> Engine:
    """Days of readings of the whole fleet, before those of the collector's."""
    days = [DAY + timedelta(days=n - DAYS) for n in range(DAYS)]
    partitions.Partitions(engine).ensure((day - partitions.EPOCH).days for day in days)
    with engine.begin() as connection:
        for day in days:
            connection.execute(
                text(
                    "INSERT INTO samples SELECT id, CAST(:day AS timestamptz) + n * interval '1 s', n"
                    " FROM generate_series(1, :count) n, series"
                ),
                {"day": day, "count": A_DAY},
            )
    return engine


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("name", ["GPU-b1", "b:1"])
def test_a_gpu_is_named_by_uuid_or_by_host_and_index(client: FlaskClient, name: str) -> None:
    assert get(client, f"gpus/{name}/telemetry", limit=1)["gpu"] == "GPU-b1"


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_telemetry_is_in_order_and_complete_over_pages(client: FlaskClient, order: str) -> None:
    whole = get(client, "gpus/GPU-a1/telemetry", order=order)["items"]
    assert len(whole) == 100
    paged: list[Any] = []
    offset: int | None = 0
    while offset is not None:
        page = get(client, "gpus/GPU-a1/telemetry", limit=7, offset=offset, order=order)
        paged, offset = paged + page["items"], page["next_offset"]
    assert paged == whole
    by_metric = sorted(whole, key=lambda each: str(each["metric"]))
    assert whole == sorted(by_metric, key=lambda each: str(each["timestamp"]), reverse=order == "desc")


@pytest.mark.usefixtures("fleet")
def test_a_reading_carries_its_unit_and_labels(client: FlaskClient) -> None:
    assert get(client, "gpus/GPU-a1/telemetry")["items"][1] == {
        "timestamp": "2025-07-18T20:42:34Z",
        "gpu": "GPU-a1",
        "metric": "DCGM_FI_DEV_GPU_UTIL",
        "value": 1.0,
        "unit": "%",
        "labels": {"pod": "p"},
    }


@pytest.mark.usefixtures("fleet")
def test_two_series_of_one_metric_keep_their_order(client: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "WITH other AS (INSERT INTO series (gpu_id, metric_id, labels_digest, labels, pod)"
                " SELECT gpu_id, metric_id, 'other', '{\"pod\": \"q\"}', 'q' FROM series JOIN gpus ON gpus.id = gpu_id"
                " WHERE identity = 'GPU-a0' RETURNING id)"
                " INSERT INTO samples SELECT id, '2025-07-18T20:42:34Z', 7 FROM other"
            )
        )
    whole = [(each["metric"], each["labels"]["pod"]) for each in get(client, "gpus/GPU-a0/telemetry", limit=4)["items"]]
    assert whole == [
        ("DCGM_FI_DEV_GPU_TEMP", "p"),
        ("DCGM_FI_DEV_GPU_TEMP", "q"),
        ("DCGM_FI_DEV_GPU_UTIL", "p"),
        ("DCGM_FI_DEV_GPU_UTIL", "q"),
    ]
    single = [get(client, "gpus/GPU-a0/telemetry", limit=1, offset=n)["items"][0] for n in range(4)]
    assert [(each["metric"], each["labels"]["pod"]) for each in single] == whole


@pytest.mark.usefixtures("fleet")
def test_microseconds_are_kept_and_what_json_cannot_say_is_null(client: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO samples SELECT min(series.id), '2025-07-18T23:59:59.123456Z', 'NaN'"
                " FROM series JOIN gpus ON gpus.id = gpu_id WHERE identity = 'GPU-a0'"
            )
        )
    found = get(client, "gpus/GPU-a0/telemetry", order="desc", limit=1)["items"][0]
    assert (found["timestamp"], found["value"]) == ("2025-07-18T23:59:59.123456Z", None)


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2025-07-18T20:42:36Z", "2025-07-18T22:42:38%2B02:00"),
        ("2025-07-18T22:42:36+02:00", "2025-07-18T22:42:38+0200"),
        ("2025-07-18T22:42:36.000+02:00", "2025-07-18+22:42:38+02:00"),
        ("2025-07-18t20:42:36z", "2025-07-18T16:12:38-04:30"),
    ],
)
def test_both_ends_of_a_span_are_included(client: FlaskClient, start: str, end: str) -> None:
    answer = client.get(f"{PATH}?metric=DCGM_FI_DEV_GPU_TEMP&start_time={start}&end_time={end}")
    assert answer.status_code == 200, answer.text
    assert [each["value"] for each in answer.get_json()["items"]] == [2.0, 3.0, 4.0]


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("start", ["9999-12-31T23:59:59.999999Z", "2025-07-18T20:43:24Z"])
def test_a_span_without_readings_is_empty(client: FlaskClient, start: str) -> None:
    found = get(client, "gpus/GPU-a0/telemetry", start_time=start)
    assert (found["items"], found["next_offset"]) == ([], None)
    assert len(get(client, "gpus/GPU-a0/telemetry", start_time="0001-01-01T00:00:00Z", end_time=start)["items"]) == 100


@pytest.mark.usefixtures("fleet")
def test_metrics_may_be_several(client: FlaskClient) -> None:
    found = client.get(f"{PATH}?metric=DCGM_FI_DEV_GPU_TEMP&metric=DCGM_FI_DEV_GPU_TEMP&limit=5").get_json()["items"]
    assert {each["metric"] for each in found} == {"DCGM_FI_DEV_GPU_TEMP"}
    assert len(client.get(f"{PATH}?metric=DCGM_FI_DEV_GPU_TEMP&metric=DCGM_FI_DEV_GPU_UTIL").get_json()["items"]) == 100


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=100001", "limit"),
        ("limit=-1", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("offset=x", "offset"),
        ("offset=%D9%A3", "offset"),
        ("start_time=yesterday", "start_time"),
        ("start_time=2025-07-18T20:42:34", "start_time"),
        ("start_time=2025-07-18+20:42", "start_time"),
        ("end_time=0001-01-01T00:00:00%2B14:00", "end_time"),
        ("start_time=2025-07-19T00:00:00Z&end_time=2025-07-18T00:00:00Z", "start_time"),
        ("order=up", "order"),
        ("metric=", "metric"),
        ("metric=%00", "metric"),
        ("metric=" + "x" * 501, "metric"),
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


def test_a_refused_limit_tells_the_bounds(client: FlaskClient) -> None:
    assert "from 1 to 100000" in client.get("/api/v1/gpus/x/telemetry?limit=0").get_json()["detail"]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan and all plans below it."""
    yield plan
    for each in plan.get("Plans", []):
        yield from nodes(each)


def plan_of(client: FlaskClient, **parameters: Any) -> list[dict[str, Any]]:
    """How Postgres ran the query that the API itself sent last: the nodes that read samples."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, given: Any, *_: Any) -> None:
        sent.append((statement, given))

    engine: Engine = client.application.extensions["connections"].engine
    event.listen(engine, "before_cursor_execute", note)
    get(client, "gpus/GPU-a0/telemetry", **parameters)
    event.remove(engine, "before_cursor_execute", note)
    statement, given = sent[-1]
    with engine.connect() as connection:
        found = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", given).scalar_one()
    plan = json.loads(found) if isinstance(found, str) else found
    return [each for each in nodes(plan[0]["Plan"]) if each.get("Relation Name", "").startswith("samples")]


@pytest.mark.parametrize("analysed", [False, True])
def test_a_page_reads_what_it_shows_however_long_the_history(client: FlaskClient, history: Engine, analysed: bool) -> None:
    if analysed:
        with history.begin() as connection:
            connection.execute(text("ANALYZE"))
    for order in ("asc", "desc"):
        read = plan_of(client, limit=10, offset=5, order=order)
        assert {each["Node Type"] for each in read} <= {"Index Scan", "Index Only Scan"}
        # Two series, each of which may fill the page, the offset and the one row that tells of more.
        assert sum(each["Actual Rows"] * each["Actual Loops"] for each in read) <= 2 * 16


def test_a_span_reads_only_its_days(client: FlaskClient, history: Engine) -> None:
    day = DAY - timedelta(days=2)
    read = plan_of(client, limit=10_000, start_time=day.isoformat(), end_time=(day + timedelta(hours=1)).isoformat())
    assert {each["Relation Name"] for each in read} <= {"samples_20250716", "samples_202507", "samples_2025"}
    assert not [each for each in read if each["Node Type"] == "Seq Scan"]


def test_pages_run_over_the_days_without_a_seam(client: FlaskClient, history: Engine) -> None:
    found: list[str] = []
    offset: int | None = 0
    while offset is not None:
        page = get(client, "gpus/GPU-a0/telemetry", metric="DCGM_FI_DEV_GPU_UTIL", limit=1999, offset=offset)
        found, offset = found + [each["timestamp"] for each in page["items"]], page["next_offset"]
    assert len(found) == DAYS * A_DAY + 50
    assert all(one < other for one, other in pairwise(found))
