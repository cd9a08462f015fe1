"""The client, on the application itself: no server between, and nothing pretended."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from telemetry.api import create_app
from telemetry.client import ApiError, Client
from telemetry.settings import Settings
from tests.api.test_uploads import rows

T0 = datetime(2025, 7, 18, 20, 42, 34, tzinfo=UTC)
UTIL = "DCGM_FI_DEV_GPU_UTIL"


@pytest.fixture
def api(settings: Settings) -> Iterator[Client]:
    """A client of the application in this process."""
    app = create_app(replace(settings, api_access="open"))
    with Client("http://localhost", transport=httpx.WSGITransport(app)) as made:
        yield made
    app.extensions["connections"].close()


@pytest.mark.usefixtures("fleet")
def test_lists_run_over_all_pages(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telemetry.client.PAGE", 3)
    assert [gpu["id"] for gpu in api.gpus(sort="id")] == ["GPU-a0", "GPU-a1", "GPU-b0", "GPU-b1"]
    assert [gpu["id"] for gpu in api.gpus(host="b")] == ["GPU-b0", "GPU-b1"]
    assert len(list(api.latest())) == 8
    assert [host["name"] for host in api.rows("hosts")] == ["a", "b"]
    assert api.gpu("a:1")["id"] == "GPU-a1"
    monkeypatch.setattr("telemetry.client.PAGE", 7)
    values = [reading["value"] for reading in api.readings("b:1", metrics=[UTIL], order="desc")]
    assert values == [float(value) for value in range(50, 0, -1)]


@pytest.mark.usefixtures("fleet")
def test_times_and_steps_are_pythons_own(api: Client) -> None:
    start, end = T0 + timedelta(seconds=6), T0 + timedelta(seconds=25)
    found = api.arrow("a:0", metrics=[UTIL], step=timedelta(seconds=10), agg="max", start=start, end=end)
    assert (found.column_names, found["value"].to_pylist()) == (
        ["timestamp", "gpu", "metric", "value", "unit", "labels"],
        [15.0, 25.0],
    )
    steps = api.readings("a:0", metrics=[UTIL], step="10s", agg="max", start=start, end=end)
    assert [row["value"] for row in steps] == [15.0, 25.0]
    groups = api.query(UTIL, by=["host"], agg="max", start=T0, end=end, model="H100")
    assert [(row["host"], row["value"]) for row in groups] == [("a", 26.0)]
    with pytest.raises(ValueError, match="zone"):
        api.arrow("a:0", start=T0.replace(tzinfo=None))


@pytest.mark.usefixtures("fleet")
def test_a_refusal_says_why(api: Client) -> None:
    with pytest.raises(ApiError) as refused:
        api.gpu("none")
    assert (refused.value.status, refused.value.code) == (404, "gpu_not_found")
    with pytest.raises(ApiError, match="no parameter 'colour'") as refused:
        list(api.gpus(colour="red"))
    assert (refused.value.parameter, refused.value.request_id is not None) == ("colour", True)


def test_a_file_is_sent_and_followed(api: Client, tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(rows(20)))
    sent = api.upload(path)
    assert (sent["state"], sent["size_bytes"]) == ("waiting", len(rows(20)))
    with pytest.raises(TimeoutError, match="0 of"):
        api.wait(sent["id"], timeout_s=0)
