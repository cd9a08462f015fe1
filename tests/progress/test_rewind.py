"""How far the ledger of a restored database justifies what an edge believes."""

from __future__ import annotations

import pytest

from telemetry.progress.flight import Flight
from telemetry.progress.rewind import rewound
from telemetry.progress.window import Window
from tests.states import source_state

Range = tuple[int, int, int]


@pytest.mark.parametrize(
    ("ledger", "committed", "line"),
    [
        ([], 10, 2),
        ([(20, 30, 3)], 10, 2),
        ([(10, 30, 2)], 10, 2),
        ([(30, 50, 4), (10, 30, 2)], 30, 4),
        ([(10, 30, 2), (30, 50, 4), (60, 90, 9)], 30, 4),
        ([(10, 30, 2), (20, 50, 3), (10, 15, 2)], 20, 3),
    ],
)
def test_it_goes_back_to_the_last_range_of_the_contiguous_prefix(ledger: list[Range], committed: int, line: int) -> None:
    state = source_state()
    new = rewound(state, ledger)
    assert new.window == Window(committed, line)
    assert (new.prefix.start, new.prefix.end) == (committed, committed)
    assert new.path == state.path


def test_nothing_forgotten_costs_only_the_flights() -> None:
    in_flight = Window(90, 12).publish(Flight("b", 90, 95, 12, 13, 0.0, "boot", "epoch", 0, acked=True))
    for ledger in ([(10, 50, 2), (50, 90, 7)], [(10, 50, 2), (50, 120, 7)]):
        new = rewound(source_state(window=in_flight), ledger)
        assert new.window == Window(90, 12)
