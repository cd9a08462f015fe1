"""Whether something stays flat: how far it rose over a run. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np


def growth(values: Sequence[float]) -> float:
    """From the median of the first third to that of the last."""
    third = max(1, len(values) // 3)
    return float(statistics.median(values[-third:]) - statistics.median(values[:third]))


def trend(values: Sequence[float]) -> float:
    """By which the straight line through all values rises."""
    if len(values) < 2:  # noqa: PLR2004
        return 0.0
    return float(np.polyfit(np.arange(len(values)), values, 1)[0]) * (len(values) - 1)
