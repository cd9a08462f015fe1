"""`/readings`: raw readings of many GPUs, in pages and whole."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

SPAN = {"start_time": "2025-07-18T20:42:34Z", "end_time": "2025-07-18T20:43:00Z"}


def get(client: FlaskClient, **query: Any) -> dict[str, Any]:
    answer = client.get("/api/v1/readings", query_string=SPAN | query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


@pytest.mark.usefixtures("fleet")
def test_many_gpus_are_read_in_one_call(client: FlaskClient) -> None:
    rows = get(client, host=["a", "b"], metric="DCGM_FI_DEV_GPU_UTIL")["items"]
    assert len(rows) == 4 * 27
    assert [row["timestamp"] for row in rows] == sorted(row["timestamp"] for row in rows)
    assert {row["gpu"] for row in rows} == {"GPU-a0", "GPU-a1", "GPU-b0", "GPU-b1"}
    assert rows[0] | {"gpu": "", "host": "", "index": 0, "value": 0.0} == {
        "timestamp": "2025-07-18T20:42:34Z",
        "gpu": "",
        "host": "",
        "index": 0,
        "metric": "DCGM_FI_DEV_GPU_UTIL",
        "value": 0.0,
        "unit": "%",
        "labels": {"pod": "p"},
        "owner": {"pod": "p"},
    }
    text = client.get("/api/v1/readings", query_string={**SPAN, "host": "a", "format": "csv"}).text
    assert len(text.splitlines()) == 1 + 2 * 2 * 27


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_follow_each_other(client: FlaskClient, order: str) -> None:
    query: dict[str, Any] = {"gpu": ["a:0", "GPU-b1"], "order": order, "pod": "p"}
    whole = get(client, **query)["items"]
    assert len(whole) == 2 * 2 * 27
    paged: list[Any] = []
    more: dict[str, Any] = {}
    while True:
        page = get(client, **query, limit=10, **more)
        paged += page["items"]
        if page["next_cursor"] is None:
            break
        more = {"cursor": page["next_cursor"]}
    assert paged == whole
    assert get(client, pod="q")["items"] == []


@pytest.mark.usefixtures("fleet")
def test_fleet_questions_take_conditions_labels_and_derived_metrics(client: FlaskClient) -> None:
    def query(**more: Any) -> dict[str, Any]:
        answer = client.get("/api/v1/query", query_string={**SPAN, "metric": "DCGM_FI_DEV_GPU_UTIL", **more})
        found: dict[str, Any] = answer.get_json()
        return found

    ratio = query(per="DCGM_FI_DEV_GPU_TEMP", by="gpu", host=["a", "b"], having="value>=1")
    assert ratio["formula"] == "DCGM_FI_DEV_GPU_UTIL ÷ DCGM_FI_DEV_GPU_TEMP"
    assert {row["value"] for row in ratio["items"]} == {1}
    (pod,) = query(by="label.pod", agg="hours", bridge="10s")["items"]
    assert (pod["label.pod"], pod["value"]) == ("p", pytest.approx(4 * 26 / 3600))
    assert query(**{"label.pod": "p", "agg": "count"})["items"][0]["value"] == 4 * 27
    assert query(label="pod=q", agg="count")["items"] == []
    share = query(agg="histogram", buckets="10,20", by="host")["items"]
    assert sum(row["value"] for row in share) == pytest.approx(2)
    assert client.get("/api/v1/derived-metrics").get_json()["items"][0]["name"] == "memory_used_ratio"
    assert query(metric="memory_used_ratio")["code"] == "metric_not_found"
    refused: dict[str, dict[str, Any]] = {
        "bottom": {"top": 1, "bottom": 1},
        "buckets": {"buckets": "5"},
        "top": {"agg": "histogram", "top": 1},
        "where": {"where": "readings>5"},
        "having": {"having": "value>x"},
        "sort": {"sort": "colour"},
        "by": {"by": "label."},
        "per": {"metric": "tensor_active", "per": "DCGM_FI_DEV_GPU_TEMP"},
    }
    for parameter, more in refused.items():
        assert query(**more)["parameter"] == parameter
