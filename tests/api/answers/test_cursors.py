"""Cursors: a place comes back as it was, and only to the question that it belongs to."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from telemetry.api.answers import cursors
from telemetry.api.answers.cursors import Question
from telemetry.api.core.problems import ProblemError

ENDS = {"time": cursors.moment, "name": cursors.name, "number": cursors.whole}
QUESTION = Question("gpus", (("host", "a"),))


def refused(cursor: str, question: Question = QUESTION) -> str:
    with pytest.raises(ProblemError) as refusal:
        cursors.read(cursor, question, ENDS)
    assert (refusal.value.code, refusal.value.parameter) == ("bad_parameter", "cursor")
    return refusal.value.detail


@given(
    time=st.datetimes(timezones=st.just(UTC)),
    name=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    number=st.integers(-(2**63) + 1, 2**63 - 1),
)
def test_a_place_comes_back_as_it_was(time: datetime, name: str, number: int) -> None:
    assert cursors.read(cursors.write([time, name, number], QUESTION), QUESTION, ENDS) == (time, name, number)


def test_a_cursor_belongs_to_its_question() -> None:
    cursor = cursors.write([datetime(2025, 7, 18, tzinfo=UTC), "x", 1], QUESTION)
    others = [Question("hosts", QUESTION.parameters), Question("gpus"), Question("gpus", QUESTION.parameters, "GPU-1")]
    for other in others:
        assert "belongs to another question" in refused(cursor, other)


def test_a_question_is_the_same_for_all_pages_and_orders_of_parameters() -> None:
    first = Question.of("gpus", MultiDict([("host", "a"), ("metric", "x"), ("metric", "y"), ("limit", "5")]))
    next_page = Question.of(
        "gpus", MultiDict([("metric", "y"), ("cursor", "abc"), ("host", "a"), ("metric", "x"), ("format", "csv")])
    )
    assert first.digest() == next_page.digest()
    assert first.digest() != Question.of("gpus", MultiDict([("host", "a"), ("metric", "x")])).digest()


def made(*values: Any) -> str:
    return urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        *("x", "é", "=", made(), made(1), made("d", 1, "x"), made("d", 1, "x", 2, 3)),
        *(
            made("d", "1", "x", 1),
            made("d", 2**62, "x", 1),
            made("d", 1, "x\0", 1),
            made("d", 1, 5, 1),
            made("d", 1, "x", 2**63),
        ),
        *(made("d", 1, "x", 1.5), made("d", None, "x", 1)),
    ],
)
def test_a_damaged_cursor_is_refused(cursor: str) -> None:
    assert "next_cursor of an earlier page" in refused(cursor)


def test_times_have_microseconds() -> None:
    time = datetime(2025, 7, 18, tzinfo=UTC) + timedelta(microseconds=1)
    assert cursors.read(cursors.write([time], QUESTION), QUESTION, {"time": cursors.moment}) == (time,)
