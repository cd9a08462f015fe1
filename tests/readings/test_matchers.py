"""Matchers of labels mean what they mean to Prometheus."""

from __future__ import annotations

from time import perf_counter

import pytest

from telemetry.readings.matchers import Matcher, matching

SETS = [{"gpu": "0", "pod": "train-0"}, {"gpu": "10"}, {"gpu": "1", "pod": "a\nb"}]


@pytest.mark.parametrize(
    ("matcher", "fits"),
    [
        (Matcher("gpu", "=", "0"), [True, False, False]),
        (Matcher("gpu", "!=", "0"), [False, True, True]),
        (Matcher("gpu", "=~", "0|1"), [True, False, True]),
        (Matcher("gpu", "=~", "1.*"), [False, True, True]),
        (Matcher("gpu", "!~", "1.*"), [True, False, False]),
        (Matcher("pod", "=", ""), [False, True, False]),
        (Matcher("pod", "=~", ".+"), [True, False, True]),
        (Matcher("pod", "=~", ".*"), [True, True, True]),
        (Matcher("none", "!=", ""), [False, False, False]),
        (Matcher("none", "=~", "|x"), [True, True, True]),
    ],
)
def test_each_operator_takes_the_whole_value_and_what_is_missing_is_empty(matcher: Matcher, fits: list[bool]) -> None:
    assert matching([matcher], SETS) == fits


def test_all_have_to_fit_or_those_of_some_names() -> None:
    both = [Matcher("gpu", "=~", "1|10"), Matcher("pod", "!=", "")]
    assert matching(both, SETS) == [False, False, True]
    assert matching(both, SETS, {"gpu"}) == [False, True, True]
    assert matching(both, []) == []


def test_a_bad_expression_is_refused_and_a_slow_one_is_none() -> None:
    for pattern in ("a)(b", "(", "(?=x)", r"\1"):
        with pytest.raises(ValueError, match="no regular expression"):
            matching([Matcher("gpu", "=~", pattern)], SETS)
    began = perf_counter()
    assert matching([Matcher("pod", "=~", "(a+)+$")], [{"pod": "a" * 5000 + "b"}]) == [False]
    assert perf_counter() - began < 5
