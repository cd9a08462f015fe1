"""The client, on the application itself: no server between, and nothing pretended."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest

from telemetry.api import create_app
from telemetry.client import ApiError, Client
from telemetry.settings import Settings
from tests.api.resources.test_uploads import rows

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
    monkeypatch.setattr("telemetry.client.session.PAGE_ROWS", 3)
    assert [gpu["id"] for gpu in api.gpus(sort="id")] == ["GPU-a0", "GPU-a1", "GPU-b0", "GPU-b1"]
    assert [gpu["id"] for gpu in api.gpus(host="b")] == ["GPU-b0", "GPU-b1"]
    assert len(list(api.latest())) == 8
    assert [host["name"] for host in api.rows("hosts")] == ["a", "b"]
    assert api.gpu("a:1")["id"] == "GPU-a1"
    monkeypatch.setattr("telemetry.client.session.PAGE_ROWS", 7)
    values = [reading["value"] for reading in api.readings("b:1", metrics=[UTIL], order="desc")]
    assert values == [float(value) for value in range(50, 0, -1)]


@pytest.mark.usefixtures("fleet")
def test_a_limit_is_one_over_all_pages(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telemetry.client.session.PAGE_ROWS", 3)
    assert len(list(api.gpus(limit=2))) == 2
    assert len(list(api.latest(limit=5))) == 5
    assert len(list(api.readings("b:1", limit=7))) == 7
    assert [row["action"] for row in api.rows("audit", limit=1)] == []


@pytest.mark.usefixtures("fleet")
def test_lengths_of_time_are_told_in_units_the_api_takes(api: Client) -> None:
    for step, count in ((timedelta(days=2), 1), (timedelta(weeks=1), 1), (timedelta(hours=36), 1), (timedelta(seconds=10), 6)):
        assert len(list(api.readings("a:0", metrics=[UTIL], step=step))) == count, step
    for step in (timedelta(milliseconds=500), timedelta(seconds=1.5), timedelta(0), timedelta(seconds=100_001)):
        with pytest.raises(ValueError, match="whole"):
            api.arrow("a:0", step=step)


@pytest.mark.usefixtures("fleet")
def test_readings_and_lists_are_frames(api: Client) -> None:
    query: dict[str, Any] = {"metrics": [UTIL], "start": T0, "step": "10s", "agg": "max"}
    values = [5.0, 15.0, 25.0, 35.0, 45.0, 49.0]
    table, frame = api.arrow("a:0", **query), api.polars("a:0", **query)
    assert (frame["value"].to_list(), frame.columns) == (values, table.column_names)
    latest = api.table("latest", metric=[UTIL], host="b")
    assert latest["value"].to_pylist() == [49.0, 50.0]
    groups = api.table("query", metric=UTIL, by=["host"], agg="max", start_time=T0, end_time=T0 + timedelta(minutes=1))
    assert groups["host"].to_pylist() == ["a", "b"]


@pytest.mark.usefixtures("fleet")
@pytest.mark.skipif(not find_spec("pandas"), reason="not in the lock: where it is, Arrow loads it into each process")
def test_readings_are_a_frame_of_pandas(api: Client) -> None:
    frame = api.pandas("a:0", metrics=[UTIL], start=T0, step="10s", agg="max")
    assert (list(frame["value"]), str(frame["timestamp"].dtype)) == ([5, 15, 25, 35, 45, 49], "datetime64[us, UTC]")


@pytest.mark.usefixtures("fleet")
def test_a_list_is_saved_whole_or_not_at_all(api: Client, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    size = api.save(path, "gpus/GPU-a0/telemetry", metric=UTIL)
    assert (path.stat().st_size, len(path.read_text().splitlines())) == (size, 51)
    with pytest.raises(ApiError, match="gpu_not_found"):
        api.save(tmp_path / "b.csv", "gpus/none/telemetry")
    assert [each.name for each in tmp_path.glob("*[ab].csv*")] == ["a.csv"]


def test_what_is_refused_for_now_is_asked_again(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("telemetry.client.session.time.sleep", waited.append)
    app = create_app(replace(settings, api_access="open", api_rate_limit="1/minute"))
    with Client("http://localhost", transport=httpx.WSGITransport(app)) as api:
        api.stats()
        with pytest.raises(ApiError, match="too_many_requests"):
            api.stats()
    assert (len(waited), all(0 < each <= 60 for each in waited)) == (3, True)
    app.extensions["connections"].close()
    # A file that was refused for now is sent from its beginning.
    sent: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            sent.append(request.read())
            if len(sent) == 1:
                return httpx.Response(503, headers={"Retry-After": "1"})
        return httpx.Response(200, json={"id": "x", "state": "waiting"})

    path = tmp_path / "a.csv"
    path.write_bytes(rows(3))
    with Client("http://localhost", transport=httpx.MockTransport(answer)) as api:
        api.upload(path)
    assert (sent, waited[3:]) == ([rows(3)] * 2, [1.0])


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
