"""How far the ledger of a restored database justifies what an edge believes."""

from __future__ import annotations

from typing import Any

import pytest

from telemetry.progress.rewind import Range, rewound
from telemetry.progress.window import Flight, Window

STATE: dict[str, Any] = {"begin": [10, 2], "window": Window(90, 12).to_json(), "prefix": [0, 90, "x"], "path": "a"}


@pytest.mark.parametrize(
    ("ledger", "committed", "line"),
    [
        ([], 10, 2),
        ([Range(20, 30, 3)], 10, 2),
        ([Range(10, 30, 2)], 10, 2),
        ([Range(30, 50, 4), Range(10, 30, 2)], 30, 4),
        ([Range(10, 30, 2), Range(30, 50, 4), Range(60, 90, 9)], 30, 4),
        ([Range(10, 30, 2), Range(20, 50, 3), Range(10, 15, 2)], 20, 3),
    ],
)
def test_it_goes_back_to_the_last_range_of_the_contiguous_prefix(ledger: list[Range], committed: int, line: int) -> None:
    new = rewound(STATE, ledger)
    assert Window.from_json(new["window"]) == Window(committed, line)
    assert new["path"] == "a"


def test_nothing_forgotten_costs_only_the_flights() -> None:
    in_flight = Window(90, 12).publish(Flight("b", 90, 95, 12, 13, 0.0, "boot", "epoch", 0, acked=True))
    for ledger in ([Range(10, 50, 2), Range(50, 90, 7)], [Range(10, 50, 2), Range(50, 120, 7)]):
        new = rewound({**STATE, "window": in_flight.to_json()}, ledger)
        assert Window.from_json(new["window"]) == Window(90, 12)
