"""Numbers as people read them."""

from __future__ import annotations

import pytest

from telemetry.cli.quantities import counted, duration, size


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (9_949, "9.9 kB"),
        (9_960, "10 kB"),
        (27_160_985, "27 MB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (5 * 10**18, "5,000 PB"),
    ],
)
def test_sizes(number: int, text: str) -> None:
    assert size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (119.9, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172_799, "47 h"), (172_800, "2 days")],
)
def test_lengths_of_time(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_nouns() -> None:
    assert [counted(number, "batch", "batches") for number in (0, 1, 2391)] == ["0 batches", "1 batch", "2,391 batches"]
