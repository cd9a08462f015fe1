"""Units become others exactly, or not at all."""

from __future__ import annotations

import pytest

from telemetry.readings.catalogue import KNOWN
from telemetry.readings.units import SPELLINGS, Conversion, conversion, convertible, named


def test_a_value_is_rounded_once_at_most() -> None:
    """A product or a quotient rounds; with a power of two it does not."""
    for of in SPELLINGS:
        for into in {metric.unit for metric in KNOWN.values() if metric.unit}:
            if ratio := conversion(of, into):
                powers = [number & (number - 1) == 0 for number in ratio]
                assert 1 in ratio or any(powers), (of, into)
                assert all(number < 1 << 53 for number in ratio)


@pytest.mark.parametrize(
    ("of", "into", "ratio"),
    [
        ("mW", "W", (1, 1000)),
        ("B", "MiB", (1, 1 << 20)),
        ("MB", "MiB", (15625, 16384)),
        ("%", "ratio", (1, 100)),
        ("J", "mJ", (1000, 1)),
        ("KB/s", "B/s", (1000, 1)),
        ("°C", "°C", (1, 1)),
        ("W", "%", None),
        ("B", "B/s", None),
    ],
)
def test_units_of_one_kind_become_each_other(of: str, into: str, ratio: tuple[int, int] | None) -> None:
    assert conversion(of, into) == (Conversion(*ratio) if ratio else None)


def test_a_spelling_stands_for_one_unit_and_each_unit_of_the_catalogue_is_known() -> None:
    spellings = [spelling for each in SPELLINGS.values() for spelling in each]
    assert len(spellings) == len(set(spellings))
    assert {metric.unit for metric in KNOWN.values() if metric.unit} <= SPELLINGS.keys()
    assert (named("pct"), named("C"), named("parsec")) == ("%", "°C", None)
    assert convertible("W") == ["mW", "W", "kW"]
