"""From the figures of all rounds to medians, ratios and tables. Pure."""

from __future__ import annotations

import operator
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

TRACED = 20
VERDICTS = {True: "yes", False: "no", None: ""}
Figures = Mapping[str, list[dict[str, float]]]


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure, or the ratio of two, should be. A figure is named `case.figure`."""

    title: str
    figure: str
    bound: float
    over: str | None = None
    most: bool = False

    def value(self, medians: Mapping[str, float]) -> float | None:
        """By the medians; None if it was not measured."""
        if self.figure not in medians or (self.over and self.over not in medians):
            return None
        return medians[self.figure] / (medians[self.over] if self.over else 1)

    def holds(self, value: float) -> bool:
        """Whether the value reaches the bound."""
        compare: Callable[[float, float], bool] = operator.le if self.most else operator.ge
        return compare(value, self.bound)


GOALS = (
    Goal("end to end, 5,000-row messages ÷ raw binary COPY", "large.rows_per_s", 0.5, "copy.rows_per_s"),
    Goal("end to end, 5,000-row messages ÷ COPY text and SQL normalise", "large.rows_per_s", 1.8, "text.rows_per_s"),
    Goal("end to end, 5,000-row messages ÷ Celery and ORM", "large.rows_per_s", 15, "orm.rows_per_s"),
    Goal("end to end, 100-row messages ÷ Celery and ORM", "small.rows_per_s", 6, "orm.rows_per_s"),
    Goal("100-row messages/s ÷ no-op tasks/s", "messages.messages_per_s", 0.5, "messages.noop_messages_per_s"),
    Goal("latency at half the load, p50 (ms)", "latency.p50_ms", 50, most=True),
    Goal("latency at half the load, p99 (ms)", "latency.p99_ms", 250, most=True),
    Goal("ingest rate with 100 times the history ÷ with none", "history.rows_per_s_at_100x", 0.85, "history.rows_per_s_at_0x"),
    Goal("beat and streamer at 100 rows/s (percent of a core)", "edge.cpu_percent", 1, most=True),
    Goal("beat and streamer, private memory (MiB)", "edge.uss_mib", 200, most=True),
    Goal("catching up after an hour's outage (s)", "outage.seconds", 30, most=True),
    Goal("a day of one metric: the API ÷ SQL by hand, p50", "api.day_p50_ms", 1.5, "api.day_by_hand_p50_ms", most=True),
    Goal("a CSV export of the API ÷ COPY TO STDOUT", "api.csv_rows_per_s", 0.7, "api.copy_rows_per_s"),
    Goal("8 clients at once: requests without an answer", "api.errors", 0, most=True),
    Goal("memory that grows while a CSV is exported (MiB)", "api.csv_growth_mib", 24, most=True),
    Goal("memory that grows while NDJSON is exported (MiB)", "api.ndjson_growth_mib", 24, most=True),
    Goal("ingest rate with metrics ÷ without", "metrics.kept", 0.97),
    Goal("fleet: growth of the lag ÷ rows due", "fleet.lag_growth", 0.01, most=True),
)


def medians(figures: Figures) -> dict[str, float]:
    """The median of each figure over its rounds, by `case.figure`."""
    return {
        f"{case}.{name}": statistics.median(each[name] for each in rounds)
        for case, rounds in figures.items()
        for name in rounds[0]
    }


def summary(
    figures: Figures, traces: Mapping[str, list[float]], machine: Mapping[str, Any], sizes: Mapping[str, Any], scale: float = 1
) -> dict[str, Any]:
    """All there is to know of a run, for JSON. Goals are judged at full scale only: a small run says nothing of them."""
    middle = medians(figures)
    return {
        "machine": machine,
        "sizes": sizes,
        "scale": scale,
        "medians": middle,
        "goals": [
            {
                "title": goal.title,
                "value": value,
                "bound": goal.bound,
                "most": goal.most,
                "holds": goal.holds(value) if scale >= 1 else None,
            }
            for goal in GOALS
            if (value := goal.value(middle)) is not None
        ],
        "rounds": figures,
        "traces": traces,
    }


def markdown(run: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """A run as tables."""
    lines = [f"{name}: {value}  " for name, value in run["machine"].items()]
    lines += ["", "| measured | figure | median | rounds |", "| --- | --- | --: | --: |"]
    for case, rounds in run["rounds"].items():
        for name in rounds[0]:
            values = [each[name] for each in rounds]
            spread = f"{number(min(values))} … {number(max(values))}" if len(values) > 1 else ""
            lines.append(f"| {titles[case]} | {words(name)} | {number(run['medians'][f'{case}.{name}'])} | {spread} |")
    if run["goals"]:
        lines += ["", "| goal | asked | measured | |", "| --- | --: | --: | --- |"]
    for goal in run["goals"]:
        asked = f"{'≤' if goal['most'] else '≥'} {number(goal['bound'])}"
        lines.append(f"| {goal['title']} | {asked} | {number(goal['value'])} | {VERDICTS[goal['holds']]} |")
    for title, values in run["traces"].items():
        some = values[:: max(1, len(values) // TRACED)]
        lines += ["", f"{title}, second by second ({len(some)} of {len(values)}): {', '.join(map(number, some))}"]
    return "\n".join(lines) + "\n"


def words(name: str) -> str:
    """A figure's name as words: `rows_per_s` is `rows/s`."""
    return name.replace("_per_", "/").replace("_", " ")


def number(value: float) -> str:
    """A number with three digits that matter, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004
