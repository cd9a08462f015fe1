"""Stretches of a rule are what the readings say, in whatever pieces and order they are looked at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.health import rules_file
from telemetry.health.rules import Rule
from telemetry.health.silences import silences
from telemetry.health.stragglers import stragglers
from telemetry.health.stretches import Look, Stretch, continued, fired_us, is_cut_off, merged, stretches
from tests.examples import examples
from tests.times import at

RULES = rules_file.defaults().rules
S = 1_000_000


def look(*readings: tuple[float, float]) -> Look:
    ts = np.array([int(second * S) for second, _ in readings], np.int64)
    return Look(ts, np.array([value for _, value in readings]), int(ts[0]), int(ts[-1]))


def found(rule: Rule, *readings: tuple[float, float], model: str = "NVIDIA H100 80GB HBM3") -> list[tuple[float, float | None]]:
    """Begin and end of the stretches that fire, in seconds."""
    return [
        (each.begun_us / S, each.ended_us and each.ended_us / S)
        for each in stretches(rule, model, look(*readings))
        if fired_us(rule, each) is not None
    ]


def test_a_stretch_lasts_from_the_first_reading_that_tells_to_the_first_that_does_not() -> None:
    rule = RULES["ecc-uncorrected"]
    assert found(rule, (0, 0), (10, 0)) == []
    assert found(rule, (0, 0), (10, 1), (20, 2), (30, 0), (40, 1)) == [(10, 30), (40, None)]


def test_what_must_last_fires_only_then_and_not_across_a_pause() -> None:
    rule = RULES["gpu-hot"]
    assert found(rule, *((second, 90) for second in range(0, 290, 10))) == []
    assert found(rule, *((second, 90) for second in range(0, 301, 10)), (310, 60)) == [(0, 310)]
    assert found(rule, *((second, 84.9) for second in range(0, 400, 10))) == []
    assert found(rule, (0, 90), (3600, 90)) == []


def test_a_counter_tells_by_what_it_gained_and_holds_on() -> None:
    rule = RULES["nvlink-errors"]
    assert found(rule, (0, 7), (10, 7), (20, 7)) == []
    assert found(rule, (0, 7), (10, 8), (20, 8), (300, 9), (1200, 9)) == [(10, 900)]
    # One that began anew has gained what it says.
    assert found(rule, (0, 7), (10, 2), (20, 2)) == [(10, 610)]
    # What was gained in a long pause is of nobody knows when.
    assert found(rule, (0, 7), (700, 9)) == []
    assert found(RULES["pcie-replays"], (0, 0), (10, 1), (20, 2)) == []
    assert found(RULES["pcie-replays"], (0, 0), (10, 2)) == [(10, 610)]


def test_a_mask_tells_by_its_bits() -> None:
    rule = RULES["throttle-hardware"]
    assert found(rule, *((second, 0x1 + 0x4 + 0x10) for second in range(0, 120, 10))) == []
    assert found(rule, *((second, 0x4 + 0x8) for second in range(0, 120, 10))) == [(0, None)]


def test_a_limit_is_that_of_the_model() -> None:
    rule = RULES["gpu-too-hot"]
    hot = [(second, 94) for second in range(0, 70, 10)]
    assert found(rule, *hot) == []
    assert found(rule, *hot, model="NVIDIA A100-SXM4-80GB") == [(0, None)]


def test_some_rules_ask_for_load() -> None:
    rule = RULES["sm-clock-low"]
    low = look(*((second, 500) for second in range(0, 400, 10)))
    busy = np.arange(0, 400, 10) * S
    for used, count in ((95.0, 1), (20.0, 0)):
        assert len(stretches(rule, "H100", low, (busy, np.full(40, used)))) == count
    assert stretches(rule, "H100", low, None) == []


def test_each_xid_is_a_stretch_of_its_own() -> None:
    readings = [(0, 0.0), (10, 63.0), (20, 63.0), (30, 79.0), (40, 0.0), (50, 999.0)]
    assert found(RULES["xid-63"], *readings) == [(10, 30)]
    assert found(RULES["xid-79"], *readings) == [(30, 40)]
    assert found(RULES["xid-other"], *readings) == [(50, None)]


@pytest.mark.parametrize("name", ["gpu-hot", "ecc-uncorrected", "nvlink-errors", "xid-79"])
@settings(max_examples=examples(40), deadline=None)
@given(data=st.data())
def test_pieces_in_any_order_give_the_same_as_all_at_once(name: str, data: st.DataObject) -> None:
    # Short times, so that few readings reach across what a rule asks for.
    rule = replace(RULES[name], for_s=30.0) if RULES[name].for_s else RULES[name]
    rule = replace(rule, hold_s=25.0) if rule.hold_s else rule
    values = data.draw(st.lists(st.sampled_from((0.0, 79.0, 90.0)), min_size=1, max_size=24))
    readings = {10.0 * place: value for place, value in enumerate(values)}
    pieces = data.draw(st.permutations(sorted(readings)))
    sizes = data.draw(st.integers(1, 6))
    there: dict[float, float] = {}
    known: list[Stretch] = []
    for first in range(0, len(pieces), sizes):
        piece = pieces[first : first + sizes]
        there |= {second: readings[second] for second in piece}
        known = judged(rule, there, min(piece), max(piece), known)
        # Again, as after a crash: nothing changes.
        assert told(judged(rule, there, min(piece), max(piece), known)) == told(known)
    whole = [each for each in stretches(rule, "H100", look(*sorted(readings.items()))) if fired_us(rule, each) is not None]
    assert told(known) == told(whole)


def told(some: list[Stretch]) -> list[tuple[int, int | None, float]]:
    return [(each.begun_us, each.ended_us, each.value) for each in some]


def judged(rule: Rule, there: dict[float, float], since: float, until: float, known: list[Stretch]) -> list[Stretch]:
    """Look at the readings near a span, as the chore does, and put what was found in the place of what was known."""
    # A reading changes what the counter has gained at the next one.
    until = min((second for second in there if second > until), default=until)
    until_s = until + rule.reach_s
    while True:
        low, high = since - rule.reach_s, until_s
        near = sorted(
            {second for second in there if low <= second <= high}
            | {max((second for second in there if second < low), default=since)}
            | {min((second for second in there if second > high), default=until)}
        )
        made = look(*((second, there[second]) for second in near))
        seen = replace(made, first_us=int(low * S), last_us=int(high * S))
        own = stretches(rule, "H100", seen)
        if not is_cut_off(rule, own, known, seen):
            return merged(rule, continued(rule, own, known, seen), known, seen)
        until_s = near[-1]


def test_a_pause_between_minutes_is_a_silence_and_the_last_may_go_on() -> None:
    read = [(at(0), at(5)), (at(10), at(12)), (at(40), at(41))]
    assert silences(read, at(10) - at(0), at(45)) == [(at(12), at(40))]
    assert silences(read, at(10) - at(0), at(60)) == [(at(12), at(40)), (at(41), None)]
    assert silences([], at(10) - at(0), at(60)) == []


def test_a_straggler_is_far_below_the_others_of_its_job() -> None:
    rule = rules_file.defaults().straggler
    assert stragglers(rule, {1: 600, 2: 610, 3: 590, 4: 300}) == [4]
    assert stragglers(rule, {1: 600, 2: 610, 3: 590, 4: 560}) == []
    # Too few to say who is the odd one.
    assert stragglers(rule, {1: 600, 2: 610, 3: 300}) == []
