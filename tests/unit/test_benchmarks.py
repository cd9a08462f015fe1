"""The benchmark's arithmetic: medians, ratios, goals, tables, sizes."""

from __future__ import annotations

import pytest

from benchmarks import report
from benchmarks.sizes import Sizes

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
    assert found["end to end, 5,000-row messages ÷ raw binary COPY"] == (0.5, True)
    assert found["latency at half the load, p50 (ms)"] == (51.0, False)
    assert found["latency at half the load, p99 (ms)"] == (249.0, True)


def test_a_goal_that_was_not_measured_is_left_out() -> None:
    assert not [title for title in goals() if "ORM" in title]


def test_a_small_run_judges_no_goal() -> None:
    run = report.summary(FIGURES, {}, {}, {}, scale=0.1)
    assert {goal["holds"] for goal in run["goals"]} == {None}
    assert "| latency at half the load, p50 (ms) | ≤ 50 | 51 |  |" in report.markdown(run, {name: name for name in FIGURES})


def test_the_table_shows_median_and_spread() -> None:
    run = report.summary(FIGURES, {"lag": [1.0, 2.0]}, {"machine": "2 cores"}, {})
    lines = report.markdown(run, {name: name for name in FIGURES}).splitlines()
    assert "| copy | rows/s | 1,000,000 | 900,000 … 1,400,000 |" in lines
    assert "| latency at half the load, p50 (ms) | ≤ 50 | 51 | no |" in lines
    assert "lag, second by second (2 of 2): 1, 2" in lines


@pytest.mark.parametrize(("value", "text"), [(0.0123, "0.0123"), (12.34, "12.3"), (1234.5, "1,234"), (0, "0")])
def test_numbers_have_three_digits_that_matter(value: float, text: str) -> None:
    assert report.number(value) == text


def test_sizes_shrink_to_what_can_still_be_measured() -> None:
    tiny = Sizes().scaled(1e-6)
    assert (tiny.rows, tiny.orm_rows, tiny.messages, tiny.fleet_edges, tiny.fleet_s) == (2_000, 2_000, 1_000, 5, 2)
    assert Sizes().scaled(2).rows == 2 * Sizes().rows
