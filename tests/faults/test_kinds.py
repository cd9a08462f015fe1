"""What the soak deals: each run beyond one machine has what it is to show, and a seed deals the same again."""

from __future__ import annotations

from itertools import islice
from random import Random

import pytest

from tests.faults.breaking import SENTINEL_FAULTS, SEVERAL_FAULTS, STANDBY_FAULTS
from tests.faults.kinds import BEYOND, PLAIN, STANDBY, Kind, hands
from tests.faults.soak import parsed


def dealt(kind: Kind, number: int = 40) -> list[list[str]]:
    return list(islice(hands(Random(7), None, kind), number))  # noqa: S311


@pytest.mark.parametrize("kind", [*BEYOND, STANDBY])
def test_each_run_has_one_of_each_group(kind: Kind) -> None:
    for hand in dealt(kind):
        assert all(set(group) & set(hand) for group in kind.always)
        assert set(hand) <= {*kind.faults, *(name for group in kind.always for name in group)}
        # It uses the standby up.
        assert len(set(hand) & set(STANDBY_FAULTS)) == 1


def test_22_runs_have_every_fault_beyond_one_machine() -> None:
    names = {name for kind in BEYOND for hand in dealt(kind, 11) for name in hand}
    assert names >= {*SENTINEL_FAULTS, *SEVERAL_FAULTS, *STANDBY_FAULTS}


def test_a_seed_deals_the_same_again_and_the_deck_is_used_up_first() -> None:
    assert dealt(PLAIN) == dealt(PLAIN)
    first = [name for hand in dealt(PLAIN) for name in hand][: len(PLAIN.faults)]
    assert sorted(first) == sorted(PLAIN.faults)


def test_the_options_say_the_kind() -> None:
    assert parsed(["--beyond"]).kinds == [*BEYOND]
    assert parsed([]).kinds == [PLAIN]
    assert not parsed([]).no_defaults
    assert parsed(["--standby"]).no_defaults
    assert not parsed(["--standby", "--defaults"]).no_defaults
    with pytest.raises(SystemExit):
        parsed(["--beyond", "--faults", "fill_disk"])
