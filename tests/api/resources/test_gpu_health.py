"""How GPUs and hosts are, by what a collector stored and the chore judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from telemetry.api import create_app
from telemetry.health import rules_file
from telemetry.settings import Settings
from tests.fixtures.health import Read


@pytest.fixture
def ill(read: Read) -> None:
    """a:0 has an XID of the hardware and waits for a remap, a:1 one of a program; b:0 is silent for an hour; b:1 is new."""
    read(
        *(("GPU_TEMP", "a", index, age, 50) for index in (0, 1) for age in (300, 10)),
        *(("XID_ERRORS", "a", 0, 200, 79), ("ROW_REMAP_PENDING", "a", 0, 100, 1), ("XID_ERRORS", "a", 1, 200, 13)),
        ("GPU_TEMP", "b", 0, 3600, 50),
        ("FAN_SPEED", "b", 1, 10, 50),
    )


def items(client: FlaskClient, path: str, **query: Any) -> list[dict[str, Any]]:
    answer = client.get(f"/api/v1/{path}", query_string=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.get_json()["items"]
    return found


@pytest.mark.usefixtures("ill")
def test_each_gpu_has_a_state_with_its_reasons_and_what_to_do(client: FlaskClient) -> None:
    rows = items(client, "health")
    assert [(row["gpu"], row["state"]) for row in rows] == [
        ("GPU-a0", "faulty"),
        ("GPU-b0", "silent"),
        ("GPU-b1", "unknown"),
        ("GPU-a1", "well"),
    ]
    assert [reason["rule"] for reason in rows[0]["reasons"]] == ["xid-79", "remap-pending"]
    assert rows[0]["reasons"][0]["says"] == "XID 79: GPU has fallen off the bus"
    assert "restart the machine" in rows[0]["action"]
    assert rows[0]["since"] == rows[0]["reasons"][0]["since"]
    assert rows[1]["reasons"][0]["says"] == "missing: its host reports, and it is silent"
    # A note leaves it well.
    assert [(reason["rule"], reason["severity"]) for reason in rows[3]["reasons"]] == [("xid-13", "note")]


@pytest.mark.usefixtures("ill")
def test_states_are_asked_for(client: FlaskClient) -> None:
    assert [row["gpu"] for row in items(client, "health", state="silent,well")] == ["GPU-b0", "GPU-a1"]
    assert [row["gpu"] for row in items(client, "health", host="a", state="faulty")] == ["GPU-a0"]
    assert [row["gpu"] for row in items(client, "health", gpu="b:1")] == ["GPU-b1"]
    assert [row["id"] for row in items(client, "gpus", state="faulty")] == ["GPU-a0"]
    assert [row["name"] for row in items(client, "hosts", state="degraded")] == ["b"]
    assert client.get("/api/v1/health?state=ill").status_code == 400
    assert client.get("/api/v1/health?host=c").status_code == 404
    for encoding in ("csv", "ndjson", "arrow", "parquet"):
        assert client.get(f"/api/v1/health?format={encoding}").status_code == 200


@pytest.mark.usefixtures("ill")
def test_a_host_is_as_its_worst_gpu_and_degraded_if_one_is_missing(client: FlaskClient) -> None:
    rows = items(client, "health/hosts")
    assert [(row["host"], row["state"], row["ill_gpus"], row["missing_gpus"]) for row in rows] == [
        ("a", "faulty", 1, 0),
        ("b", "degraded", 0, 1),
    ]
    assert "XID 79" in rows[0]["says"]


def test_findings_are_a_history(client: FlaskClient, read: Read) -> None:
    for age, value in ((5000, 79), (4000, 0), (3000, 63), (2000, 79), (1000, 0)):
        read(("XID_ERRORS", "a", 0, age, value))
    rows = items(client, "health/findings", kind="xid")
    assert [(row["rule"], row["value"], row["ended_at"] is None) for row in rows] == [
        ("xid-79", 79, False),
        ("xid-63", 63, False),
        ("xid-79", 79, False),
    ]
    assert [row["rule"] for row in items(client, "health/findings", severity="note")] == ["xid-63"]
    assert [row["rule"] for row in items(client, "health/findings", end_time="-4500s", kind="xid")] == ["xid-79"]
    assert [row["rule"] for row in items(client, "health/findings", start_time="-2500s", kind="xid")] == ["xid-79", "xid-63"]
    first = client.get("/api/v1/health/findings?kind=xid&limit=2").get_json()
    rest = items(client, "health/findings", kind="xid", limit=2, cursor=first["next_cursor"])
    assert [row["rule"] for row in (*first["items"], *rest)] == ["xid-79", "xid-63", "xid-79"]


def test_hosts_have_as_many_gpus_as_is_said(settings: Settings, read: Read, client: FlaskClient) -> None:
    read(("GPU_TEMP", "a", 0, 10, 50))
    assert items(client, "health/hosts")[0]["state"] == "well"
    rules = rules_file.changed('[expected_gpus]\n"a*" = 8')
    app = create_app(replace(settings, api_access="open", health_rules=rules))
    row = items(app.test_client(), "health/hosts")[0]
    assert (row["state"], row["missing_gpus"]) == ("degraded", 7)
    app.extensions["connections"].close()
