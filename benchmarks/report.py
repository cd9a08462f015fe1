"""From the figures of all rounds to medians, ratios and tables. `python -m benchmarks.report bench.json …` prints the goals.

Of several files a goal is taken from the last that measured it: a fleet may have run by itself.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.goals import GOALS, Figures

TRACED = 20
VERDICTS = {True: "yes", False: "no", None: ""}
Run = Mapping[str, Any]


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
    return {
        "machine": machine,
        "sizes": sizes,
        "scale": scale,
        "medians": medians(figures),
        "goals": [
            {
                "title": goal.title,
                "value": (value := statistics.median(values)),
                "rounds": values,
                "bound": goal.bound,
                "most": goal.most,
                "holds": goal.holds(value) if scale >= 1 and goal.judged(figures) else None,
            }
            for goal in GOALS
            if (values := goal.values(figures))
        ],
        "rounds": figures,
        "traces": traces,
    }


def markdown(run: Run, titles: Mapping[str, str]) -> str:
    """A run as tables."""
    lines = [*_head(run), "| measured | figure | median | rounds |", "| --- | --- | --: | --: |"]
    for case, rounds in run["rounds"].items():
        for name in rounds[0]:
            values = [each[name] for each in rounds]
            lines.append(f"| {titles[case]} | {words(name)} | {number(run['medians'][f'{case}.{name}'])} | {spread(values)} |")
    lines += ["", *_goals(run["goals"])]
    for title, values in run["traces"].items():
        some = values[:: max(1, len(values) // TRACED)]
        lines += ["", f"{title}, second by second ({len(some)} of {len(values)}): {', '.join(map(number, some))}"]
    return "\n".join(lines) + "\n"


def goals_table(runs: Sequence[Run]) -> str:
    """The goals of some runs on one machine, as the README has them."""
    by_title = {goal["title"]: goal for run in runs for goal in run["goals"]}
    ordered = [by_title[goal.title] for goal in GOALS if goal.title in by_title]
    return "\n".join([*_head(runs[0]), *_goals(ordered)]) + "\n"


def _head(run: Run) -> list[str]:
    return [*(f"{name}: {value}  " for name, value in run["machine"].items()), ""]


def _goals(goals: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["| goal | asked | measured | rounds | |", "| --- | --: | --: | --: | --- |"]
    for goal in goals:
        asked = f"{'≤' if goal['most'] else '≥'} {number(goal['bound'])}"
        measurement = f"{number(goal['value'])} | {spread(goal['rounds'])} | {VERDICTS[goal['holds']]}"
        lines.append(f"| {goal['title']} | {asked} | {measurement} |")
    return lines if goals else []


def spread(values: Sequence[float]) -> str:
    """The least and the most of some rounds."""
    return f"{number(min(values))} … {number(max(values))}" if len(values) > 1 else ""


def words(name: str) -> str:
    """A figure's name as words: `rows_per_s` is `rows/s`."""
    return name.replace("_per_", "/").replace("_", " ")


def number(value: float) -> str:
    """A number with three digits that matter, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004


if __name__ == "__main__":
    sys.stdout.write(goals_table([json.loads(Path(path).read_text(encoding="utf-8")) for path in sys.argv[1:]]))
