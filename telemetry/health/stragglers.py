"""GPUs that do less than the others of their job: a heuristic over the mean of a metric in a step of time."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from telemetry.health.rules import Straggler

STEP_S = 300


def stragglers(rule: Straggler, means: Mapping[int, float]) -> list[int]:
    """Of the GPUs of a job, by number with the mean of each: those that lie far below the median of all."""
    if len(means) < rule.gpus:
        return []
    middle = median(means.values())
    deviation = median(abs(mean - middle) for mean in means.values())
    limit = middle - max(rule.deviations * deviation, rule.at_least_below * middle)
    return [gpu for gpu, mean in means.items() if mean < limit]
