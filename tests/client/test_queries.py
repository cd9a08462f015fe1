"""How Python values become query parameters."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from telemetry.client.queries import of_readings, written
from telemetry.client.resources import checked, telemetry_of


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(days=2), "2d"),
        (timedelta(hours=36), "36h"),
        (timedelta(minutes=90), "90m"),
        (timedelta(seconds=172_801), "172801s"),
    ],
)
def test_a_length_is_written_in_the_largest_unit_that_divides_it(length: timedelta, text: str) -> None:
    assert written({"step": length}) == {"step": text}


@pytest.mark.parametrize(
    "length", [timedelta(milliseconds=500), timedelta(0), timedelta(seconds=-1), timedelta(days=200_000, seconds=1)]
)
def test_a_length_that_the_api_does_not_take_is_refused(length: timedelta) -> None:
    with pytest.raises(ValueError, match="whole number of seconds"):
        written({"step": length})


def test_times_need_a_zone_and_what_is_none_is_left_out() -> None:
    time = datetime(2025, 7, 18, 20, 42, 34, tzinfo=UTC)
    assert of_readings(["a"], time, None, None, None) == {"metric": ["a"], "start_time": "2025-07-18T20:42:34+00:00"}
    with pytest.raises(ValueError, match="has no zone"):
        of_readings([], None, time.replace(tzinfo=None), None, None)


def test_there_is_one_vocabulary_and_the_words_of_the_api_mean_the_same() -> None:
    assert written({"metrics": "a,b", "start": "-1h", "end": date(2025, 7, 18), "step": 300, "by": ("gpu", "host")}) == {
        "metric": "a,b",
        "start_time": "-1h",
        "end_time": "2025-07-18",
        "step": 300,
        "by": ["gpu", "host"],
    }
    assert of_readings("a", None, None, None, None) == written({"metric": "a"})
    for one, other in (("start", "start_time"), ("metric", "metrics")):
        with pytest.raises(ValueError, match=f"{other} and {one} mean the same"):
            written({one: "x", other: "y"})


@pytest.mark.parametrize(
    ("wrong", "meant"), [("dead_letters", "dead-letters"), ("host", "hosts"), ("Metrics", "metrics"), ("batch", "batches")]
)
def test_a_list_that_does_not_exist_is_refused_with_the_nearest(wrong: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"did you mean '{meant}'"):
        checked(wrong)


def test_lists_and_the_readings_of_a_gpu_have_paths() -> None:
    assert checked("query") == "query"
    assert checked(telemetry_of("a:0")) == "gpus/a%3A0/telemetry"
    for wrong in ("gpus/a:0", "stats", "", "telemetry"):
        with pytest.raises(ValueError, match="there is no list"):
            checked(wrong)


def test_a_name_is_one_part_of_a_path() -> None:
    assert telemetry_of("MIG-GPU-1/2/0") == "gpus/MIG-GPU-1%2F2%2F0/telemetry"
