"""Each rule fires on a fault that is made for it and not beside it; faults of a simulated fleet are found, and no others."""

from __future__ import annotations

import numpy as np
import pytest

from telemetry.health import rules_file
from telemetry.health.rules import Rule
from telemetry.health.stretches import Look, fired_us, stretches
from telemetry.readings.arrays import Float64s
from telemetry.simulate.behaviour import METRICS, Behaviour
from telemetry.simulate.faults import BUS, COOLING, MEMORY, Faults
from telemetry.simulate.fleet import build

RULES = rules_file.defaults().rules
STEP_S = 10
# Long enough for the rule with the longest patience.
STEPS = 200
START_S = 1_752_871_354


def is_fired(rule: Rule, model: str, values: Float64s, load: float = 100.0) -> bool:
    ts_us = (START_S + STEP_S * np.arange(len(values), dtype=np.int64)) * 1_000_000
    look = Look(ts_us, values, int(ts_us[0]), int(ts_us[-1]))
    found = stretches(rule, model, look, (ts_us, np.full(len(ts_us), load)))
    return any(fired_us(rule, each) is not None for each in found)


def made(rule: Rule, model: str) -> tuple[Float64s, Float64s]:  # noqa: PLR0911 - one for each comparator
    """Readings that a rule is made for, and others that are just beside it."""
    limit, step = rule.limit(model), np.arange(STEPS, dtype=np.float64)
    match rule.comparator:
        case "above":
            return np.full(STEPS, limit + 1), np.full(STEPS, limit)
        case "at_least":
            return np.full(STEPS, limit), np.full(STEPS, limit - 1)
        case "below":
            return np.full(STEPS, limit - 1), np.full(STEPS, limit)
        case "equals":
            return np.full(STEPS, limit), np.full(STEPS, limit + 1)
        case "none_of":
            return np.full(STEPS, 9999.0), np.full(STEPS, float(min(rule.codes)))
        case "any_bit":
            return np.full(STEPS, limit + 1), np.full(STEPS, float(0x1FF & ~int(limit)))
        case "increase_above":
            gain = limit * STEP_S / rule.per_s if rule.per_s else limit
            return step * (gain + 1), step * 0.99 * gain
    raise AssertionError(rule.comparator)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_fires_on_its_fault_and_not_beside_it(name: str) -> None:
    rule = RULES[name]
    model = f"NVIDIA {rule.models[0][0]}" if rule.models else "NVIDIA H100 80GB HBM3"
    ill, well = made(rule, model)
    assert is_fired(rule, model, ill)
    assert not is_fired(rule, model, well)
    if rule.for_s:
        assert not is_fired(rule, model, np.concatenate([well[:50], ill[: int(rule.for_s / STEP_S)], well[:50]]))
    if rule.during:
        assert not is_fired(rule, model, ill, rule.during.at_least - 1)


def test_the_faults_of_a_simulated_fleet_are_found_and_no_others() -> None:
    fleet = build(5, 8, 8)
    seconds = START_S + STEP_S * np.arange(1080.0)
    reading = Behaviour(fleet, 8, START_S * 1_000_000, STEP_S * 1_000_000).over(seconds)
    kinds = Faults(40, 8, START_S, STEP_S).kind
    found: dict[int, set[str]] = {}
    for gpu in range(40):
        model = fleet[gpu // 8].model.name
        found[gpu] = {
            rule.kind
            for place, metric in enumerate(METRICS)
            for rule in RULES.values()
            if metric in rule.metrics
            and rule.severity != "note"
            and rule.during is None
            and is_fired(rule, model, reading.values[:, place, gpu])
        }
    assert all("xid" in found[gpu] for gpu in np.flatnonzero(kinds == BUS).tolist())
    assert all({"ecc", "xid"} & found[gpu] for gpu in np.flatnonzero(kinds == MEMORY).tolist())
    assert any({"throttle", "temperature"} & found[gpu] for gpu in np.flatnonzero(kinds == COOLING).tolist())
    assert not set().union(*(found[gpu] for gpu in np.flatnonzero(kinds == 0).tolist()))
