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
TEMPERATURE = "DCGM_FI_DEV_GPU_TEMP"


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
    assert len(list(api.latest(max_age="9999d"))) == 8
    assert [host["name"] for host in api.rows("hosts")] == ["a", "b"]
    assert api.gpu("a:1")["id"] == "GPU-a1"
    monkeypatch.setattr("telemetry.client.session.PAGE_ROWS", 7)
    values = [reading["value"] for reading in api.readings("b:1", metrics=[UTIL], order="desc")]
    assert values == [float(value) for value in range(50, 0, -1)]


@pytest.mark.usefixtures("fleet")
def test_a_limit_is_one_over_all_pages(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telemetry.client.session.PAGE_ROWS", 3)
    assert len(list(api.gpus(limit=2))) == 2
    assert len(list(api.latest(limit=5, max_age="9999d"))) == 5
    assert len(list(api.readings("b:1", limit=7))) == 7
    assert [row["action"] for row in api.rows("audit", limit=1)] == []


@pytest.mark.usefixtures("fleet")
def test_lengths_of_time_are_told_in_units_the_api_takes(api: Client) -> None:
    for step, count in ((timedelta(days=2), 1), (timedelta(weeks=1), 1), (timedelta(hours=36), 1), (timedelta(seconds=10), 6)):
        assert len(list(api.readings("a:0", metrics=[UTIL], step=step))) == count, step
    for step in (timedelta(milliseconds=500), timedelta(seconds=1.5), timedelta(0), timedelta(days=200_000, seconds=1)):
        with pytest.raises(ValueError, match="whole"):
            api.arrow("a:0", step=step)


@pytest.mark.usefixtures("fleet")
def test_readings_and_lists_are_frames(api: Client) -> None:
    query: dict[str, Any] = {"metrics": [UTIL], "start": T0, "step": "10s", "agg": "max"}
    values = [5.0, 15.0, 25.0, 35.0, 45.0, 49.0]
    table, frame = api.arrow("a:0", **query), api.polars("a:0", **query)
    assert (frame["value"].to_list(), [*frame.columns, "labels"]) == (values, table.column_names)
    latest = api.table("latest", metric=[UTIL], host="b", max_age="9999d")
    assert latest["value"].to_pylist() == [49.0, 50.0]
    groups = api.table("query", metric=UTIL, by=["host"], agg="max", start_time=T0, end_time=T0 + timedelta(minutes=1))
    assert groups["host"].to_pylist() == ["a", "b"]


@pytest.mark.usefixtures("fleet")
def test_a_metric_may_be_one_text_and_all_methods_share_their_words(api: Client) -> None:
    assert api.arrow("a:0", metrics=UTIL, start=T0).num_rows == 50
    assert api.arrow("a:0", metrics=f"{UTIL},{TEMPERATURE}", start=T0).num_rows == 100
    with pytest.raises(ApiError, match="did you mean DCGM_FI_DEV_GPU_TEMP") as refused:
        api.polars("a:0", metrics="GPU_TEMP")
    assert (refused.value.code, refused.value.parameter) == ("metric_not_found", "metric")
    words: dict[str, Any] = {"metrics": UTIL, "start": T0, "end": T0 + timedelta(minutes=1), "by": "host", "agg": "max"}
    assert api.table("query", **words)["value"].to_pylist() == [50.0, 50.0]
    assert [row["value"] for row in api.rows("query", **words)] == [50.0, 50.0]


@pytest.mark.usefixtures("fleet")
def test_hosts_and_metrics_are_lists_and_wrong_names_are_told(api: Client) -> None:
    assert [host["name"] for host in api.hosts()] == ["a", "b"]
    assert [metric["name"] for metric in api.metrics(limit=1)] == [TEMPERATURE]
    # An end alone is the week before it.
    assert list(api.usage(end=T0 - timedelta(days=30))) == []
    for ask in (api.rows, api.table, lambda name: api.save("x", name)):
        with pytest.raises(ValueError, match="did you mean 'dead-letters'"):
            ask("dead_letters")


@pytest.mark.usefixtures("fleet")
def test_readings_come_as_they_are_stored(api: Client) -> None:
    readings = list(api.live(seconds=1, metrics=[UTIL], host="b", max_age="9999d"))
    assert [(reading["gpu"], reading["value"]) for reading in readings] == [("GPU-b0", 49.0), ("GPU-b1", 50.0)]
    with pytest.raises(ApiError, match="host_not_found"):
        next(api.live(host="nowhere"))


@pytest.mark.usefixtures("fleet")
def test_readings_of_many_gpus_are_one_table(api: Client) -> None:
    long = api.fleet([UTIL, TEMPERATURE], start=T0)
    assert (long.num_rows, set(long.column_names)) == (400, {"timestamp", "gpu", "metric", "value", "unit", "pod"})
    assert set(zip(long["metric"].to_pylist(), long["pod"].to_pylist(), strict=True)) == {(UTIL, "p"), (TEMPERATURE, "p")}
    assert api.fleet(f"{UTIL},{TEMPERATURE}", start=T0, pod="p").num_rows == 400
    assert api.fleet(UTIL, start=T0, pod="q").num_rows == 0
    assert api.fleet(UTIL, gpus="a:0,b:1", start=T0)["gpu"].unique().to_pylist() == ["GPU-a0", "GPU-b1"]
    assert api.fleet(UTIL, start=T0, model="none").num_rows == 0
    steps = api.fleet([UTIL, TEMPERATURE], start=T0, step=10, agg="max", host="a")
    assert (steps.num_rows, set(steps["index"].to_pylist())) == (24, {0, 1})
    with pytest.raises(ValueError, match="leave out gpus, or pod"):
        api.fleet(UTIL, gpus="a:0", start=T0, step=10, pod="p")


@pytest.mark.usefixtures("fleet")
def test_a_wide_table_has_a_column_for_each_gpu(api: Client) -> None:
    one = api.fleet(UTIL, start=T0, step="10s", agg="max", wide=True, host="b")
    assert one.column_names == ["timestamp", "GPU-b0", "GPU-b1"]
    assert one["GPU-b1"].to_pylist() == [6.0, 16.0, 26.0, 36.0, 46.0, 50.0]
    both = api.fleet([UTIL, TEMPERATURE], start=T0, wide=True)
    assert (both.num_rows, both.num_columns, both.column_names[1]) == (50, 9, f"{TEMPERATURE} GPU-a0")
    frame = api.frame(UTIL, start=T0, step="1m", wide=True, kind="polars")
    assert frame.columns == ["timestamp", "GPU-a0", "GPU-a1", "GPU-b0", "GPU-b1"]


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
