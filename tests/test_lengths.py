"""Lengths of time: what a setting may say, the API takes, in whatever unit it is written."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry import lengths


def is_length(text: str) -> bool:
    try:
        lengths.read(text)
    except ValueError:
        return False
    return True


@given(st.from_regex(lengths.LENGTH, fullmatch=True))
def test_every_length_can_be_written_in_seconds_and_lies_in_known_years(text: str) -> None:
    length = lengths.read(text)
    assert lengths.read(f"{length.total_seconds():.0f}s") == length
    assert lengths.read(f"{length.total_seconds():.0f}") == length
    assert lengths.read(lengths.written(length)) == length
    assert datetime.now(UTC) - length > datetime(1000, 1, 1, tzinfo=UTC)


@given(st.text(st.sampled_from("0159smhdwx. -"), max_size=12))
def test_the_pattern_of_the_specification_says_what_is_taken(text: str) -> None:
    assert is_length(text) == bool(re.search(f"^({lengths.PATTERN})$", text))


def test_lengths_are_written_in_their_largest_unit() -> None:
    shown = [lengths.written(timedelta(**length)) for length in ({"days": 2}, {"hours": 36}, {"minutes": 90}, {"seconds": 1})]
    assert shown == ["2d", "36h", "90m", "1s"]
    for wrong in (timedelta(), timedelta(milliseconds=1500), timedelta(days=-1)):
        with pytest.raises(ValueError, match="is not a whole number"):
            lengths.written(wrong)
