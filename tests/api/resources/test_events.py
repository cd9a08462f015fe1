"""Events: what happened to GPUs, when, and who had them."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.fixtures.health import Read

POD = {"namespace": "research", "pod": "trainer-0"}


@pytest.fixture
def happened(read: Read) -> None:
    """A pod has a:0 for 20 minutes, in which it has an XID and loses it; then b:0 is read, and falls silent."""
    read(*(("GPU_UTIL", "a", 0, age, 50) for age in range(5400, 4200, -60)), **POD)
    read(("XID_ERRORS", "a", 0, 5400, 0), ("XID_ERRORS", "a", 0, 5000, 79), ("XID_ERRORS", "a", 0, 4500, 0), **POD)
    read(*(("GPU_UTIL", "a", 0, age, 0) for age in range(4200, 0, -60)))
    read(*(("GPU_UTIL", "b", 0, age, 0) for age in range(3600, 1800, -60)))


def asked(client: FlaskClient, **query: Any) -> list[tuple[Any, ...]]:
    answer = client.get("/api/v1/events", query_string=query)
    assert answer.status_code == 200, answer.text
    return [(row["kind"], row["what"], row["says"], row["gpu"], row["owner"]) for row in answer.get_json()["items"]]


@pytest.mark.usefixtures("happened")
def test_events_tell_what_happened_to_whom_the_latest_first(client: FlaskClient) -> None:
    off = "XID 79: GPU has fallen off the bus"
    assert asked(client) == [
        ("silence", "begins", "silent", "GPU-b0", {}),
        ("health", "changes", "well → silent", "GPU-b0", {}),
        ("allocation", "ends", "research/trainer-0", "GPU-a0", POD),
        ("xid", "ends", off, "GPU-a0", POD),
        ("health", "changes", "faulty → well", "GPU-a0", POD),
        ("xid", "begins", off, "GPU-a0", POD),
        ("health", "changes", "well → faulty", "GPU-a0", POD),
        ("allocation", "begins", "research/trainer-0", "GPU-a0", POD),
    ]
    # Asked for again it is the same.
    assert asked(client) == asked(client)


@pytest.mark.usefixtures("happened")
def test_they_are_filtered_and_paged(client: FlaskClient) -> None:
    assert [row[0] for row in asked(client, kind="xid,allocation")] == ["allocation", "xid", "xid", "allocation"]
    assert len(asked(client, gpu="b:0")) == 2
    assert len(asked(client, host="a")) == 6
    assert asked(client, end_time="-2h") == []
    assert asked(client, end_time="0001-01-01T00:00:00Z") == []
    assert asked(client, start_time="-4900s", kind="xid") == [("xid", "ends", *asked(client, kind="xid")[0][2:])]
    found, cursor = [], None
    while True:
        page = client.get("/api/v1/events", query_string={"limit": 3} | ({"cursor": cursor} if cursor else {})).get_json()
        found += [row["id"] for row in page["items"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert len(found) == len(set(found)) == 8
    assert client.get("/api/v1/events?format=csv").text.count("\n") == 9
    assert client.get("/api/v1/events?kind=fire").status_code == 400


def test_a_pause_within_ten_minutes_is_no_event(client: FlaskClient, read: Read) -> None:
    read(*(("GPU_UTIL", "a", 0, age, 50) for age in (3000, 2500, 2000)), **POD)
    assert [row[:2] for row in asked(client, kind="allocation")] == [("allocation", "ends"), ("allocation", "begins")]
