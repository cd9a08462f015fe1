"""Values survive packing bit for bit, whatever they are, and most need two bytes before compression."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.readings.arrays import Float64s
from telemetry.store.packing import pack, unpack

ODD = [0.0, -0.0, 5e-324, -5e-324, 2.0**53, -(2.0**53), 2.0**53 + 2, 1.7976931348623157e308, 0.1, 79.079, -1e-6, 65536.0]
DECIMALS = st.builds(lambda whole, digits: whole / 10.0**digits, st.integers(-(2**53), 2**53), st.integers(0, 7))
VALUES = st.lists(
    st.one_of(st.floats(), DECIMALS, st.sampled_from(ODD), st.integers(-9, 9).map(float)), min_size=1, max_size=30
)


def bits(values: Float64s) -> bytes:
    return values.tobytes()


@given(VALUES)
def test_values_survive_bit_for_bit(values: list[float]) -> None:
    array = np.array(values, np.float64)
    assert bits(unpack(pack(array))) == bits(array)


@pytest.mark.parametrize("value", [*ODD, float("inf"), float("-inf"), float("nan")])
def test_odd_values_survive_alone_and_among_others(value: float) -> None:
    for values in (np.array([value]), np.array([1.0, value, 2.5])):
        assert bits(unpack(pack(values))) == bits(values)


@pytest.mark.parametrize(
    ("values", "columns", "divisor"),
    [
        ([0.0, 97.0, 100.0], ["low"], 1.0),
        ([79.079, 559.4], ["low", "middle"], 1000.0),
        ([1e12, 1e12 + 7], ["low", "middle", "high"], 1.0),
        ([-1.0, -32768.0], ["low"], 1.0),
        ([1 / 3], ["floats"], 1.0),
    ],
)
def test_the_smallest_form_is_taken(values: list[float], columns: list[str], divisor: float) -> None:
    packed = pack(np.array(values))
    assert list(packed.arrays) == columns
    assert packed.divisor == divisor
