"""The benchmark's arithmetic: medians, ratios, goals, tables, sizes, the order of cases, delays, trends."""

from __future__ import annotations

import pytest

from benchmarks import compare, report
from benchmarks.__main__ import order
from benchmarks.sizes import Sizes
from benchmarks.synthetic.listener import delays
from benchmarks.synthetic.trend import growth, trend

FIGURES = {
    "copy": [{"rows_per_s": 900_000.0}, {"rows_per_s": 1_000_000.0}, {"rows_per_s": 1_400_000.0}],
    "large": [{"rows_per_s": 600_000.0}, {"rows_per_s": 450_000.0}, {"rows_per_s": 500_000.0}],
    "latency": [{"p50_ms": 51.0, "p99_ms": 249.0}],
}


def goals() -> dict[str, tuple[float, bool]]:
    run = report.summary(FIGURES, {}, {}, {})
    return {goal["title"]: (goal["value"], goal["holds"]) for goal in run["goals"]}


def test_a_figure_is_the_median_of_its_rounds() -> None:
    assert report.medians(FIGURES)["copy.rows_per_s"] == 1_000_000


def test_a_goal_compares_medians_with_its_bound() -> None:
    found = goals()
    assert found["latency publish to acknowledged at half the load, p50 (ms)"] == (51.0, False)
    assert found["latency publish to acknowledged at half the load, p99 (ms)"] == (249.0, True)


def test_a_ratio_is_taken_within_each_round() -> None:
    goal = next(goal for goal in report.summary(FIGURES, {}, {}, {})["goals"] if "raw binary" in goal["title"])
    assert goal["rounds"] == [600 / 900, 450 / 1000, 500 / 1400]
    assert (goal["value"], goal["holds"]) == (450 / 1000, False)


@pytest.mark.parametrize(("seconds", "holds"), [(599.0, None), (600.0, True)])
def test_a_fleet_is_judged_only_after_ten_minutes(seconds: float, holds: bool | None) -> None:
    figures = {"fleet": [{"seconds": seconds, "edges": 1000.0, "acknowledged_share": 0.991}]}
    assert [goal["holds"] for goal in report.summary(figures, {}, {}, {})["goals"]] == [holds]


def test_a_goal_that_was_not_measured_is_left_out() -> None:
    assert not [title for title in goals() if "ORM" in title]


def test_a_small_run_judges_no_goal() -> None:
    run = report.summary(FIGURES, {}, {}, {}, scale=0.1)
    assert {goal["holds"] for goal in run["goals"]} == {None}
    table = report.markdown(run, {name: name for name in FIGURES})
    assert "| latency publish to acknowledged at half the load, p50 (ms) | ≤ 50 | 51 |  |  |" in table


def test_the_table_shows_median_and_spread() -> None:
    run = report.summary(FIGURES, {"lag": [1.0, 2.0]}, {"machine": "2 cores"}, {})
    lines = report.markdown(run, {name: name for name in FIGURES}).splitlines()
    assert "| copy | rows/s | 1,000,000 | 900,000 … 1,400,000 |" in lines
    assert "| latency publish to acknowledged at half the load, p50 (ms) | ≤ 50 | 51 |  | no |" in lines
    assert "lag, second by second (2 of 2): 1, 2" in lines


@pytest.mark.parametrize(("value", "text"), [(0.0123, "0.0123"), (12.34, "12.3"), (1234.5, "1,234"), (0, "0")])
def test_numbers_have_three_digits_that_matter(value: float, text: str) -> None:
    assert report.number(value) == text


def test_sizes_shrink_to_what_can_still_be_measured() -> None:
    tiny = Sizes().scaled(1e-6)
    assert (tiny.rows, tiny.orm_rows, tiny.messages, tiny.fleet_edges, tiny.fleet_s) == (2_000, 2_000, 1_000, 5, 2)
    assert Sizes().scaled(2).rows == 2 * Sizes().rows


def test_a_fleet_that_ran_by_itself_comes_into_the_same_table() -> None:
    one = report.summary(FIGURES, {}, {"machine": "2 cores"}, {})
    other = report.summary({"latency": [{"p50_ms": 12.0}]}, {}, {"machine": "another"}, {})
    lines = report.goals_table([one, other]).splitlines()
    assert lines[0] == "machine: 2 cores  "
    assert "| latency publish to acknowledged at half the load, p50 (ms) | ≤ 50 | 12 |  | yes |" in lines
    assert "| end to end, 5,000-row messages ÷ raw binary COPY | ≥ 0.7 | 0.45 | 0.357 … 0.667 | no |" in lines


def test_cases_are_compared_forth_and_back_and_the_others_come_once_at_the_end() -> None:
    assert order(["copy", "large", "latency", "fleet"], 3) == [
        *("copy", "large"),
        *("large", "copy"),
        *("copy", "large"),
        *("latency", "fleet"),
    ]


def test_a_delay_goes_from_a_publication_to_the_next_writing_under_its_key() -> None:
    heard = [("a", 0.5), ("a", 1.1), ("b", 1.2), ("a", 1.9)]
    found, missed = delays({"a": [1.0, 2.0], "b": [1.0]}, heard)
    assert found == pytest.approx([0.1, 0.2])
    assert missed == 1


def test_a_trend_is_how_far_values_rise_in_all() -> None:
    assert growth([1, 1, 9, 4, 4]) == 3
    assert trend([0, 1, 2, 3]) == pytest.approx(3)
    assert growth([2]) == trend([2]) == 0


def test_a_comparison_takes_the_median_of_the_ratios_of_its_rounds() -> None:
    before = [{"large.rows_per_s": 100.0, "edge.cpu_percent": 0.0}, {"large.rows_per_s": 200.0}, {"large.rows_per_s": 400.0}]
    now = [{"large.rows_per_s": 110.0, "edge.cpu_percent": 1.0}, {"large.rows_per_s": 200.0}, {"large.rows_per_s": 360.0}]
    *_, line = compare.table(before, now).splitlines()
    assert line == "| large: rows/s | 200 | 200 | 1.000 | 0.9 … 1.1 |"
