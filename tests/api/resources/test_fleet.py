"""Readings in steps, cursors, relative times, and questions about the fleet; checked against plain Python."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pyarrow as pa
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from telemetry.store.read.history import aggregates, fleet
from telemetry.store.read.history.chosen import Aggregation
from telemetry.store.read.history.selection import SeriesFilter, Span

T0 = datetime(2025, 7, 18, 20, 42, 34, tzinfo=UTC)
UTIL = "DCGM_FI_DEV_GPU_UTIL"
PATH = "gpus/GPU-a1/telemetry"


def get(client: FlaskClient, path: str, **query: Any) -> dict[str, Any]:
    answer = client.get(f"/api/v1/{path}", query_string=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def quantile(q: float) -> Callable[[list[float]], float]:
    return lambda values: statistics.quantiles(values, n=100, method="inclusive")[int(q) - 1] if len(values) > 1 else values[0]


AGGREGATES: dict[str, Callable[[list[float]], float]] = {
    "avg": statistics.fmean,
    "min": min,
    "max": max,
    "sum": sum,
    "last": lambda values: values[-1],
    "count": len,
    "p50": quantile(50),
    "p95": quantile(95),
    "p99": quantile(99),
}


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("name", AGGREGATES)
@pytest.mark.parametrize(("step", "length"), [("7s", 7), ("1m", 60)])
def test_a_step_is_the_aggregate_of_its_readings(client: FlaskClient, name: str, step: str, length: int) -> None:
    raw = get(client, PATH, metric=UTIL)["items"]
    steps: dict[float, list[float]] = {}
    for each in raw:
        second = datetime.fromisoformat(each["timestamp"]).timestamp()
        steps.setdefault(second // length * length, []).append(each["value"])
    found = get(client, PATH, metric=UTIL, step=step, agg=name)["items"]
    assert [datetime.fromisoformat(each["timestamp"]).timestamp() for each in found] == sorted(steps)
    assert [each["value"] for each in found] == pytest.approx([AGGREGATES[name](steps[start]) for start in sorted(steps)])


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("more", [{}, {"step": "7s"}, {"step": "7s", "agg": "p95"}])
def test_a_cursor_goes_on_where_the_page_ended(client: FlaskClient, order: str, more: dict[str, str]) -> None:
    whole = get(client, PATH, order=order, **more)["items"]
    paged: list[Any] = []
    query: dict[str, Any] = {}
    while True:
        page = get(client, PATH, order=order, limit=7, **more, **query)
        paged += page["items"]
        if page["next_cursor"] is None:
            break
        query = {"cursor": page["next_cursor"]}
    assert paged == whole


@pytest.mark.usefixtures("fleet")
def test_a_cursor_belongs_to_its_question(client: FlaskClient) -> None:
    query = {"order": "desc", "metric": UTIL, "start_time": "2025-07-18T00:00:00Z"}
    page = get(client, PATH, **query, limit=7, offset=3)
    assert page["next_offset"] == 10
    followed = get(client, PATH, **query, limit=5, cursor=page["next_cursor"])
    assert (followed["next_offset"], followed["items"]) == (None, get(client, PATH, **query, limit=5, offset=10)["items"])
    others: list[dict[str, Any]] = [{"order": "asc"}, {"step": "7s"}, {"metric": "x"}, {"start_time": "2025-07-17T00:00:00Z"}]
    for path, other in [(PATH, each) for each in others] + [("gpus/GPU-a0/telemetry", {}), ("batches", {})]:
        asked = (query if path != "batches" else {}) | other | {"cursor": page["next_cursor"]}
        answer = client.get(f"/api/v1/{path}", query_string=asked)
        assert (answer.status_code, answer.get_json()["parameter"]) == (400, "cursor"), answer.text
    assert "another question" in client.get(f"/api/v1/{PATH}", query_string={"cursor": page["next_cursor"]}).text


@pytest.mark.usefixtures("fleet")
def test_lists_that_grow_and_shrink_are_followed_without_a_double_or_a_gap(client: FlaskClient, engine: Engine) -> None:
    add = {
        "audit": "INSERT INTO audit_log (actor, action, target, detail) VALUES ('x', 'x', '{}', '{{}}')",
        "batches": "INSERT INTO batches SELECT edge, 'b{}', source_id, status, error, anchor, start_offset, end_offset,"
        " first_line, rows, stored, duplicate, conflict, blank, quarantined, read_at, published_at, {}"
        " FROM batches WHERE batch_id = 'b1'",
        "quarantine": "INSERT INTO quarantine (source_id, batch_id, fingerprint, byte_offset, digest, line, reason, raw)"
        " SELECT id, 'b1', 'f', {}, '', 1, 'x', '' FROM sources",
        "dead-letters": "INSERT INTO dead_letters (error, header, payload) VALUES ('{}', '{{}}', '')",
    }

    def insert(name: str, number: int) -> None:
        # Three of them at one time, as of a merged commit.
        at = f"'2025-07-19T00:00:0{number // 3}Z'"
        with engine.begin() as connection:
            connection.execute(text(add[name].format(number + 2, at)))

    for name in add:
        for number in range(10):
            insert(name, number)
        key = "target" if name == "audit" else "error" if name == "dead-letters" else "id"
        before = [row[key] for row in get(client, name)["items"]]
        found: list[Any] = []
        query: dict[str, Any] = {}
        while True:
            page = get(client, name, limit=3, **query)
            found += [row[key] for row in page["items"]]
            if page["next_cursor"] is None:
                break
            query = {"cursor": page["next_cursor"]}
            if name in {"audit", "batches"} and len(found) < 9:
                insert(name, 20 + len(found))
            elif name == "dead-letters" and len(found) == 3:
                with engine.begin() as connection:
                    connection.execute(text("DELETE FROM dead_letters WHERE error = '2'"))
        assert found == before, name


@pytest.mark.usefixtures("fleet")
def test_page_and_page_size_are_offset_and_limit(client: FlaskClient) -> None:
    assert get(client, PATH, page=3, page_size=10) == get(client, PATH, offset=20, limit=10)
    pages = get(client, "gpus", page=2, page_size=3), get(client, "gpus", offset=3, limit=3)
    assert [[gpu["id"] for gpu in page["items"]] for page in pages] == [["GPU-b1"]] * 2


@pytest.mark.parametrize(
    ("path", "query", "parameter"),
    [
        (PATH, "step=0s", "step"),
        (PATH, "step=5y", "step"),
        (PATH, "agg=avg", "agg"),
        (PATH, "step=5m&agg=mean", "agg"),
        ("batches", "cursor=x", "cursor"),
        ("batches", "cursor=WzEsMiwzXQ", "cursor"),
        (PATH, "cursor=WzEsIngiLDNd&offset=1", "cursor"),
        (PATH, "page=1&offset=1", "page"),
        (PATH, "page_size=1&limit=1", "page_size"),
        (PATH, "start_time=-1x", "start_time"),
        (PATH, "start_time=now&end_time=-1h", "start_time"),
        (PATH, "format=xml", "format"),
        ("query", "", "metric"),
        ("query", "metric=x&by=colour", "by"),
        ("query", "metric=x&top=0", "top"),
        ("gpus", "sort=colour", "sort"),
        ("gpus", "seen_since=x", "seen_since"),
        ("batches", "status=lost", "status"),
        ("batches", "source=x", "source"),
    ],
)
def test_a_bad_parameter_is_refused_by_its_name(client: FlaskClient, path: str, query: str, parameter: str) -> None:
    answer = client.get(f"/api/v1/{path}?{query}")
    assert (answer.status_code, answer.get_json().get("parameter")) == (400, parameter), answer.text


@pytest.mark.usefixtures("fleet")
def test_times_may_be_relative_to_now(client: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("CREATE TABLE samples_now PARTITION OF samples FOR VALUES FROM ('2025-08-01') TO ('2100-01-01')")
        )
        connection.execute(
            text(
                "INSERT INTO samples SELECT min(series.id), now() - interval '30 minutes', 77 FROM series"
                " JOIN gpus ON gpus.id = gpu_id WHERE identity = 'GPU-a1'"
            )
        )
    assert [each["value"] for each in get(client, PATH, start_time="-1h")["items"]] == [77.0]
    assert get(client, PATH, start_time="-20m", end_time="now")["items"] == []
    assert [gpu["id"] for gpu in get(client, "gpus", seen_since="-1h")["items"]] == ["GPU-a1"]
    assert get(client, "gpus", seen_since="2025-07-18T20:43:23Z")["total"] == 4


@pytest.mark.usefixtures("fleet")
def test_gpus_are_filtered_by_what_used_them_and_sorted(client: FlaskClient) -> None:
    assert get(client, "gpus", pod="p")["total"] == 4
    assert get(client, "gpus", pod="q")["total"] == 0
    assert [gpu["id"] for gpu in get(client, "gpus", sort="-id", limit=2)["items"]] == ["GPU-b1", "GPU-b0"]
    assert [gpu["model"] for gpu in get(client, "gpus", sort="-model")["items"]] == ["L40S", "L40S", "H100", "H100"]


@pytest.fixture
def huge(engine: Engine, fleet: None) -> None:
    """Readings that no sum has room for."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO samples SELECT series.id, '2025-07-18T21:00:00Z'::timestamptz + n * interval '1 s', v FROM series"
                " JOIN metrics ON metrics.id = metric_id, (VALUES (0, 1e308), (1, 1.5e308)) AS huge (n, v) WHERE name = :name"
            ),
            {"name": UTIL},
        )


@pytest.mark.usefixtures("huge")
def test_a_reading_that_is_out_of_range_breaks_what_must_add_it_alone(client: FlaskClient) -> None:
    span = {"metric": UTIL, "start_time": "2025-07-18T21:00:00Z", "end_time": "2025-07-18T21:00:05Z"}
    for path, step in ((PATH, {"step": "1h"}), ("query", {})):
        for agg, form in product(("avg", "sum"), ("json", "csv")):
            answer = client.get(f"/api/v1/{path}", query_string={**span, **step, "agg": agg, "format": form})
            assert (answer.status_code, answer.get_json()["code"]) == (422, "out_of_range"), answer.text
    for agg, value in (("min", 1e308), ("max", 1.5e308), ("last", 1.5e308), ("count", 2)):
        assert [each["value"] for each in get(client, PATH, **span, step="1h", agg=agg)["items"]] == [value]
    # One that squares have no room for has a mean all the same.
    one = {**span, "end_time": "2025-07-18T21:00:00Z"}
    assert get(client, PATH, **one, step="1h")["items"][0]["value"] == 1e308


@pytest.mark.usefixtures("fleet")
def test_the_last_reading_is_told_without_gathering_them_all(client: FlaskClient) -> None:
    assert "array_agg" not in str(aggregates.aggregated("last"))
    whole = get(client, "query", **SPAN, agg="last")["items"]
    assert [row["value"] for row in whole] == [50.0]


SPAN = {"metric": UTIL, "start_time": T0.isoformat(), "end_time": (T0 + timedelta(minutes=5)).isoformat()}


@pytest.mark.usefixtures("fleet")
def test_the_fleet_is_aggregated_by_groups(client: FlaskClient) -> None:
    found = get(client, "query", **SPAN, by=["host"], agg="max")["items"]
    assert found == [{"host": host, "value": 50.0, "readings": 100} for host in "ab"]
    assert get(client, "query", **SPAN)["items"] == [{"value": 25.0, "readings": 200}]
    assert get(client, "query", **SPAN, model="H100")["items"][0]["readings"] == 100
    assert get(client, "query", metric=UTIL)["items"] == []


@pytest.mark.usefixtures("fleet")
def test_an_answer_has_the_columns_that_were_asked_for_in_every_format(client: FlaskClient) -> None:
    """A null is then a group without the label, and never a group that nobody asked for."""
    for by, step, columns in (
        ("gpu", "1m", "timestamp,host,gpu,index,model,value,readings"),
        ("pod,namespace", "", "namespace,pod,value,readings"),
        ("container", "300", "timestamp,container,value,readings"),
    ):
        query = {**SPAN, "by": by} | ({"step": step} if step else {})
        rows = get(client, "query", **query)["items"]
        assert list(rows[0]) == columns.split(",")
        text_ = client.get("/api/v1/query", query_string={**query, "format": "csv"}).text
        assert text_.partition("\n")[0] == columns
        stream = client.get("/api/v1/query", query_string={**query, "format": "arrow"}).data
        table = pa.ipc.open_stream(stream).read_all()
        assert (table.column_names, table.num_rows) == (columns.split(","), len(rows))
    first = get(client, "query", **SPAN, by="gpu", agg="count")["items"][0]
    assert first == {"host": "a", "gpu": "GPU-a0", "index": 0, "model": "H100", "value": 50.0, "readings": 50}


@pytest.mark.usefixtures("fleet")
def test_several_names_may_stand_between_commas(client: FlaskClient) -> None:
    temperature = "DCGM_FI_DEV_GPU_TEMP"
    both = get(client, PATH, metric=[UTIL, temperature])
    assert get(client, PATH, metric=f"{UTIL},{temperature}")["items"] == both["items"]
    assert get(client, "query", **SPAN, by="host,model") == get(client, "query", **SPAN, by=["model", "host"])
    assert len(get(client, "latest", metric=f"{temperature},{UTIL}", max_age="9999d")["items"]) == 8


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize(
    ("path", "query", "code", "parameter", "meant"),
    [
        (PATH, {"metric": "GPU_TEMP"}, "metric_not_found", "metric", "DCGM_FI_DEV_GPU_TEMP"),
        (PATH, {"metric": [UTIL, "dcgm_fi_dev_gpu_util"]}, "metric_not_found", "metric", UTIL),
        ("latest", {"metric": f"{UTIL},DCGM_FI_DEV_GPU_UTILL"}, "metric_not_found", "metric", UTIL),
        ("live", {"metric": "NOPE"}, "metric_not_found", "metric", None),
        ("query", {"metric": "D"}, "metric_not_found", "metric", "DCGM_FI_DEV_GPU_TEMP"),
        ("query", {"metric": UTIL, "host": "A"}, "host_not_found", "host", "a"),
        ("gpus", {"host": "nowhere"}, "host_not_found", "host", None),
        ("latest", {"gpu": "a:7"}, "gpu_not_found", "gpu", "a:"),
        ("latest", {"gpu": "GPU-a"}, "gpu_not_found", "gpu", "GPU-a0"),
        ("gpus/gpu-a1", {}, "gpu_not_found", None, "GPU-a1"),
        (f"metrics/{UTIL}_", {}, "metric_not_found", None, UTIL),
        ("hosts/aa", {}, "host_not_found", None, "a"),
        ("gpus/a\tb", {}, "gpu_not_found", None, None),
    ],
)
def test_a_name_that_does_not_exist_is_named_with_those_it_may_mean(
    client: FlaskClient, path: str, query: dict[str, Any], code: str, parameter: str | None, meant: str | None
) -> None:
    answer = client.get(f"/api/v1/{path}", query_string=query)
    problem = answer.get_json()
    assert (answer.status_code, problem["code"], problem.get("parameter")) == (404, code, parameter), answer.text
    if meant is None:
        assert "did you mean" not in problem["detail"]
    else:
        assert f"did you mean {meant}" in problem["detail"]


@pytest.mark.usefixtures("fleet")
def test_the_top_groups_are_those_with_the_largest_value(client: FlaskClient) -> None:
    found = get(client, "query", **SPAN, by=["gpu", "pod"], top=2, step="10s")["items"]
    assert {(row["gpu"], row["pod"]) for row in found} == {("GPU-a1", "p"), ("GPU-b1", "p")}
    times = [row["timestamp"] for row in found]
    assert times == sorted(times)
    assert sum(row["readings"] for row in found) == 100


@pytest.mark.usefixtures("fleet")
def test_top_compares_numbers_and_a_missing_label_is_a_group(client: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM allocations"))
    found = get(client, "query", **SPAN, by=["host", "pod"], agg="max", top=1)["items"]
    assert [(row["host"], row["pod"], row["value"]) for row in found] == [("a", None, 50.0)]
    assert [row["readings"] for row in get(client, "query", **SPAN, top=3)["items"]] == [200]
    asked = Aggregation(SeriesFilter(), Span(), ["host", "pod"], top=5)
    assert "DISTINCT FROM" not in str(fleet.aggregate(asked))


@pytest.mark.usefixtures("fleet")
def test_the_latest_reading_of_each_series(client: FlaskClient) -> None:
    found = get(client, "latest", metric=UTIL, max_age="9999d")["items"]
    assert [(row["gpu"], row["value"], row["timestamp"]) for row in found] == [
        (f"GPU-{host}{index}", 49.0 + index, "2025-07-18T20:43:23Z") for host in "ab" for index in (0, 1)
    ]
    assert len(get(client, "latest", gpu="a:0", max_age="9999d")["items"]) == 2
    assert get(client, "latest", host="b", namespace="none", max_age="9999d")["items"] == []
    # They are of 2025.
    assert get(client, "latest")["items"] == []


@pytest.mark.usefixtures("fleet")
def test_the_latest_readings_are_sorted_by_value_or_time(client: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO samples SELECT min(series.id), '2025-07-18T20:44:00Z', 'NaN' FROM series"
                " JOIN metrics ON metrics.id = metric_id WHERE name = :name"
            ),
            {"name": UTIL},
        )

    def shown(**query: Any) -> list[tuple[str, float | None]]:
        rows = get(client, "latest", metric=UTIL, max_age="9999d", **query)["items"]
        return [(row["gpu"], row["value"]) for row in rows]

    numbers = [("GPU-a1", 50.0), ("GPU-b1", 50.0), ("GPU-b0", 49.0)]
    assert shown(sort="-value") == [*numbers, ("GPU-a0", None)]
    assert shown(sort="value") == [numbers[2], *numbers[:2], ("GPU-a0", None)]
    assert shown(sort="-value", limit=1, offset=1) == [numbers[1]]
    assert [gpu for gpu, _ in shown(sort="-timestamp")] == ["GPU-a0", "GPU-a1", "GPU-b0", "GPU-b1"]
    assert client.get("/api/v1/latest?sort=-value&format=csv&max_age=9999d").text.count("\n") > 4
    assert client.get("/api/v1/latest?sort=colour").get_json()["parameter"] == "sort"


@pytest.mark.usefixtures("fleet")
def test_hosts_and_metrics_are_listed_and_shown(client: FlaskClient) -> None:
    hosts = get(client, "hosts")["items"]
    assert [(host["name"], host["gpus"], host["models"]) for host in hosts] == [("a", 2, "H100"), ("b", 2, "L40S")]
    assert {**get(client, "hosts/b"), "silent_for_s": 0} == {**hosts[1], "silent_for_s": 0}
    metrics = get(client, "metrics")["items"]
    assert [(metric["name"], metric["unit"], metric["series"]) for metric in metrics][1] == (UTIL, "%", 4)
    assert get(client, f"metrics/{UTIL}") == metrics[1]
    of_one = get(client, "gpus/a:1/metrics")["items"]
    assert [(metric["name"], metric["first_reading"]) for metric in of_one][1] == (UTIL, "2025-07-18T20:42:34Z")
    for path, code in (("hosts/x", "host_not_found"), ("metrics/x", "metric_not_found"), ("gpus/x/metrics", "gpu_not_found")):
        assert client.get(f"/api/v1/{path}").get_json()["code"] == code


@pytest.mark.usefixtures("fleet")
def test_what_came_in_is_listed(client: FlaskClient) -> None:
    edge = get(client, "edges")["items"][0]
    assert (edge["name"], edge["sources"], edge["last_commit"] is not None) == ("test/node", 1, True)
    source = get(client, "sources", edge="test/node")["items"][0]
    assert (source["path"], source["rows"], source["stored"], source["batches"]) == ("/data/a.csv", 400, 400, 1)
    batch = get(client, "batches", source=source["id"], status="stored")["items"][0]
    assert (batch["id"], batch["edge"], batch["start"], batch["end"], batch["stored"]) == ("b1", "test/node", 0, 100, 400)
    assert get(client, "batches", status="dead")["items"] == []
