"""What samples come to in each hour, beside a plain count, sum, minimum and maximum of each."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from telemetry.store.hours import HOUR_US, HOURS, MIN_SAMPLES, summed

DAY_US = HOURS * HOUR_US
VALUES = st.one_of(st.floats(-1e9, 1e9), st.just(math.nan))


@given(st.integers(-400, 40_000), st.integers(0, 99), st.lists(VALUES, min_size=1, max_size=9))
def test_hours_are_those_of_a_loop(day: int, seed: int, odd: list[float]) -> None:
    times = day * DAY_US + np.unique(np.random.default_rng(seed).integers(0, DAY_US // (1 + seed % 3), MIN_SAMPLES + 9))
    values = np.resize(np.array(odd), len(times))
    hours = summed(times, values)
    assert hours is not None
    count, total, low, high = hours.reshape(4, HOURS)
    for hour in range(HOURS):
        inside = values[(times - day * DAY_US) // HOUR_US == hour]
        real = inside[~np.isnan(inside)]
        assert count[hour] == len(inside)
        if len(inside):
            assert np.allclose(total[hour], inside.sum(), equal_nan=True)
            # Of two NaN is the greater.
            assert low[hour] == real.min() if len(real) else math.isnan(low[hour])
            assert high[hour] == inside.max() if len(real) == len(inside) else math.isnan(high[hour])


def test_few_samples_have_none() -> None:
    assert summed(np.arange(MIN_SAMPLES - 1), np.zeros(MIN_SAMPLES - 1)) is None
