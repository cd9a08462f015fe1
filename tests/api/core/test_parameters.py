"""Parameters: what each type takes, and in which words a wrong value is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import Field
from werkzeug.datastructures import MultiDict

from telemetry.api.core.parameter_schemas import in_words, parameter_schema
from telemetry.api.core.parameters import Instant, Step, Text, Whole, is_name
from telemetry.api.core.problems import ProblemError
from telemetry.api.core.queries import Query, read
from telemetry.api.resources.batches import BatchQuery
from telemetry.health import rules_file
from telemetry.readings.aggregates import Aggregate
from telemetry.store.read.ingest import BatchFilter


class Asked(Query):
    """A parameter of each type."""

    number: Whole | None = Field(None, ge=1, le=9, description="a number")
    text: Text | None = Field(None, description="a text")
    time: Instant | None = Field(None, description="a time")
    step: Step | None = Field(None, description="a step")
    agg: Aggregate = Field("avg", description="an aggregate")
    many: tuple[Text, ...] = Field((), max_length=2, description="some texts")


def value(name: str, *raw: str) -> Any:
    return getattr(read(Asked, MultiDict((name, each) for each in raw)), name)


def detail(name: str, *raw: str) -> str:
    with pytest.raises(ProblemError) as refusal:
        value(name, *raw)
    assert refusal.value.parameter == name
    return refusal.value.detail


@pytest.mark.parametrize("raw", ["2025-07-18T20:42:34Z", "2025-07-18t22:42:34+02:00", "2025-07-18T22:42:34 02:00"])
def test_times_are_those_of_rfc_3339(raw: str) -> None:
    assert value("time", raw) == datetime(2025, 7, 18, 20, 42, 34, tzinfo=UTC)


def test_times_may_be_relative() -> None:
    for raw, back in (
        ("now", timedelta()),
        ("-90s", timedelta(seconds=90)),
        ("now-1h", timedelta(hours=1)),
        ("-2w", timedelta(weeks=2)),
    ):
        assert abs(datetime.now(UTC) - back - value("time", raw)) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("raw", "time"),
    [
        ("1752871354", datetime(2025, 7, 18, 20, 42, 34, tzinfo=UTC)),
        ("1752871354.5", datetime(2025, 7, 18, 20, 42, 34, 500_000, tzinfo=UTC)),
        ("1752871354000", datetime(2025, 7, 18, 20, 42, 34, tzinfo=UTC)),
        ("1752871354123", datetime(2025, 7, 18, 20, 42, 34, 123_000, tzinfo=UTC)),
        ("2025-07-18", datetime(2025, 7, 18, tzinfo=UTC)),
        ("100000000", datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
    ],
)
def test_times_may_be_those_of_prometheus_and_grafana_and_days(raw: str, time: datetime) -> None:
    assert value("time", raw) == time


@pytest.mark.parametrize("raw", ["2025", "20250718", "1752871354000000", "1e9", "-1752871354", "\u0661752871354", "2025-02-30"])
def test_a_number_or_a_day_that_may_mean_something_else_is_refused(raw: str) -> None:
    assert detail("time", raw).startswith("time must be a time with a zone")


def test_steps_may_be_seconds_or_weeks() -> None:
    assert (value("step", "300"), value("step", "86400"), value("step", "2w")) == (
        timedelta(minutes=5),
        timedelta(days=1),
        timedelta(weeks=2),
    )
    for raw in ("0", "1.5", "-300", "300 s", "5M", "12345678901", "100000d"):
        assert detail("step", raw).startswith("step must be a length of time")


def test_texts_of_a_list_may_stand_between_commas() -> None:
    assert value("many", "a,b") == ("a", "b")
    assert detail("many", "a,b,c").startswith("many must be given at most 2 times")
    assert detail("many", "a,").startswith("many must be given at most 2 times, each a text")
    assert value("text", "a,b") == "a,b"


def test_numbers_texts_and_steps() -> None:
    assert (value("number", "9"), value("text", "é"), value("step", "36h")) == (9, "é", timedelta(hours=36))
    assert value("many", "a", "b") == ("a", "b")


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [
        ("number", "10", "number must be a whole number from 1 to 9"),
        ("number", "1_0", "number must be a whole number from 1 to 9"),
        ("number", "\u0661", "number must be a whole number from 1 to 9"),
        ("text", "", "text must be a text of 1 to 500 characters without NUL, in UTF-8"),
        ("text", "\ud800", "text must be a text of 1 to 500 characters without NUL, in UTF-8"),
        ("time", "2025-07-18T20:42:34", "time must be a time with a zone (RFC 3339), such as 2025-07-18T20:42:34Z"),
        ("time", "-999999w", "time must be a time with a zone"),
        ("step", "0s", "step must be a length of time, such as 30s, 5m, 1h or 1d, or a number of seconds, such as 300"),
        ("agg", "mean", "agg must be avg, min, max, sum, last, count, p50, p95 or p99"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_what_it_must_be(name: str, raw: str, words: str) -> None:
    assert detail(name, raw).startswith(words)


def test_a_parameter_is_given_as_often_as_it_may_be() -> None:
    assert detail("text", "a", "b") == "text was given 2 times; give it once"
    assert detail("many", "a", "b", "c").startswith("many must be given at most 2 times, each a text")
    assert detail("colour", "red") == "there is no parameter 'colour' here; there is number, text, time, step, agg, many"


def test_a_schema_says_what_a_value_must_be_and_not_whether_it_may_be_left_out() -> None:
    assert parameter_schema(Asked, "number") == {"type": "integer", "minimum": 1, "maximum": 9}
    assert parameter_schema(Asked, "agg")["default"] == "avg"
    assert in_words(parameter_schema(Asked, "number")) == "a whole number from 1 to 9"


def test_a_filter_of_the_store_is_made_by_names() -> None:
    query = read(BatchQuery, MultiDict({"edge": "a/b", "source": "7", "status": "dead"}))
    assert query.filter(BatchFilter) == BatchFilter("a/b", 7, "dead")
    assert query.filter(BatchFilter, edge=None) == BatchFilter(None, 7, "dead")


def test_a_name_is_short_and_printable() -> None:
    assert [is_name(text) for text in ("GPU-1/2", "é", "a\0", "x" * 501)] == [True, True, False, False]


@pytest.mark.parametrize("silent_after", ["90s", "10m", "48h", "2d", "2w", "99999d"])
def test_the_latest_readings_are_asked_for_as_long_as_a_rule_may_say(client: FlaskClient, silent_after: str) -> None:
    after_s = rules_file.changed(f'silent_after = "{silent_after}"').silent_after_s
    for path in ("latest", "gpus", "hosts"):
        name = "max_age" if path == "latest" else "silent_for"
        answer = client.get(f"/api/v1/{path}?{name}={after_s:.0f}s")
        assert (answer.status_code, answer.get_json()["items"]) == (200, [])
