"""Stretches of time in which a rule's condition held, as the readings of one series show them.

A stretch is a function of readings alone: from the first reading that tells of it to the first that no longer does. So whoever
looks at all readings near those that came late finds what a look at all of them in order would have found. What lies outside
the readings that were looked at is taken from stretches that were found before: `continued`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from telemetry.health.rules import PAUSE_S, Rule
from telemetry.readings.arrays import Bools, Float64s, Int64s

SECOND_US = 1_000_000
PAUSE_US = int(PAUSE_S * SECOND_US)


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `begun_us` on; `ended_us` is None while no reading has ended it. `value` is that of its first reading."""

    begun_us: int
    ended_us: int | None
    last_us: int
    value: float

    def covers(self, time_us: int) -> bool:
        """Whether a time lies in it."""
        return self.begun_us <= time_us and (self.ended_us is None or time_us < self.ended_us)


@dataclass(frozen=True, slots=True)
class Look:
    """The readings of a series that are looked at, in order of time.

    All that lie in [`first_us`, `last_us`] are there, and one more at each side if there is one.
    """

    ts_us: Int64s
    values: Float64s
    first_us: int
    last_us: int


def stretches(rule: Rule, model: str | None, look: Look, during: tuple[Int64s, Float64s] | None = None) -> list[Stretch]:
    """The stretches that some readings show. `during` has those of the metric that the rule asks for beside its own."""
    if not len(look.ts_us):
        return []
    telling = _telling(rule, model, look.ts_us, look.values)
    if rule.during is not None:
        telling &= _meanwhile(look.ts_us, during, rule.during.at_least)
    return _held(rule, look, telling) if rule.hold_s else _until_another(rule, look, telling)


def continued(rule: Rule, of_look: Sequence[Stretch], before: Sequence[Stretch], look: Look) -> list[Stretch]:
    """Stretches that reach beyond the readings that were looked at, as they were known to go on there."""
    whole = list(of_look)
    if whole:
        whole[0] = _begun_before(rule, whole[0], before, look)
        whole[-1] = _ended_behind(rule, whole[-1], before, look)
    return whole


def _begun_before(rule: Rule, first: Stretch, before: Sequence[Stretch], look: Look) -> Stretch:
    reaches = first.begun_us - look.first_us <= _us(rule.hold_s) if rule.hold_s else first.begun_us == look.ts_us[0]
    for known in before:
        if reaches and known.begun_us < look.first_us and known.covers(first.begun_us):
            return replace(first, begun_us=known.begun_us, value=known.value)
    return first


def _ended_behind(rule: Rule, last: Stretch, before: Sequence[Stretch], look: Look) -> Stretch:
    for known in before:
        if not known.covers(last.last_us):
            continue
        if rule.hold_s:
            goes_on = known.ended_us is not None and known.ended_us - _us(rule.hold_s) > max(look.last_us, last.last_us)
        else:
            goes_on = last.ended_us is None and look.ts_us[-1] > look.last_us
        if goes_on:
            # It was found because it had lasted long enough.
            last_us = max(last.last_us, known.begun_us + _us(rule.for_s))
            return replace(last, ended_us=known.ended_us, last_us=last_us)
    return last


def is_cut_off(rule: Rule, of_look: Sequence[Stretch], before: Sequence[Stretch], look: Look) -> bool:
    """Whether more readings behind those that were looked at are needed to say where a stretch ends, or another begins."""
    if rule.hold_s or not len(look.ts_us) or int(look.ts_us[-1]) <= look.last_us:
        return False
    end_us = int(look.ts_us[-1])
    goes_on = bool(of_look) and of_look[-1].ended_us is None
    went_on = any(known.covers(end_us) and known.begun_us < end_us for known in before)
    return goes_on != went_on


def merged(rule: Rule, of_look: Sequence[Stretch], before: Sequence[Stretch], look: Look) -> list[Stretch]:
    """All stretches of a series that fire: those that were known, with what was found in the place of what was looked at."""
    if not len(look.ts_us):
        return list(before)
    first_us, end_us = int(look.ts_us[0]), int(look.ts_us[-1])
    fresh = {each.begun_us: each for each in of_look if fired_us(rule, each) is not None}
    hold_us = _us(rule.hold_s)
    kept = {}
    for known in before:
        if known.begun_us in fresh:
            continue
        if known.begun_us > end_us or (known.ended_us is not None and known.ended_us - hold_us <= first_us):
            kept[known.begun_us] = known
        elif known.begun_us < first_us:
            # A reading in its middle does not tell of it: there it ends.
            kept[known.begun_us] = replace(known, ended_us=first_us + hold_us)
    return [each for _, each in sorted((kept | fresh).items())]


def fired_us(rule: Rule, stretch: Stretch) -> int | None:
    """When a stretch had lasted as long as its rule asks; None if it has not."""
    at_us = stretch.begun_us + _us(rule.for_s)
    return at_us if stretch.last_us >= at_us else None


def _telling(rule: Rule, model: str | None, ts_us: Int64s, values: Float64s) -> Bools:
    limit = rule.limit(model)
    match rule.comparator:
        case "above":
            telling = values > limit
        case "at_least":
            telling = values >= limit
        case "below":
            telling = values < limit
        case "equals":
            telling = values == limit
        case "none_of":
            telling = (values > 0) & ~np.isin(values, list(rule.codes))
        case "any_bit":
            telling = (np.clip(values, 0, 2.0**53).astype(np.int64) & int(limit)) > 0
        case "increase_above":
            telling = _increase(rule, ts_us, values) > limit
    return telling


def _increase(rule: Rule, ts_us: Int64s, values: Float64s) -> Float64s:
    """What a counter gained since the reading before, of late; one that fell began anew from 0."""
    gained = np.zeros(len(values))
    steps_us = np.diff(ts_us)
    gained[1:] = np.where(np.diff(values) < 0, values[1:], np.diff(values))
    gained[1:][steps_us > PAUSE_US] = 0
    if rule.per_s is not None:
        gained[1:] *= rule.per_s * SECOND_US / steps_us
    return gained


def _meanwhile(ts_us: Int64s, during: tuple[Int64s, Float64s] | None, at_least: float) -> Bools:
    """Whether the last reading of another metric, at each time, was at least at a value."""
    if during is None or not len(during[0]):
        return np.zeros(len(ts_us), np.bool_)
    places = np.searchsorted(during[0], ts_us, "right") - 1
    fresh = (places >= 0) & (ts_us - during[0][np.maximum(places, 0)] <= PAUSE_US)
    flags: Bools = fresh & (during[1][np.maximum(places, 0)] >= at_least)
    return flags


def _held(rule: Rule, look: Look, telling: Bools) -> list[Stretch]:
    """Stretches that go on for a time after the last reading that tells of them."""
    places = np.flatnonzero(telling)
    hold_us = _us(rule.hold_s)
    if not len(places):
        return []
    parts = np.split(places, np.flatnonzero(np.diff(look.ts_us[places]) > hold_us) + 1)
    return [
        Stretch(int(look.ts_us[p[0]]), int(look.ts_us[p[-1]]) + hold_us, int(look.ts_us[p[-1]]), float(look.values[p[0]]))
        for p in parts
    ]


def _until_another(rule: Rule, look: Look, telling: Bools) -> list[Stretch]:
    """Stretches that the next reading ends; where a rule asks for a time, a pause ends them too."""
    edges = np.flatnonzero(np.diff(telling.astype(np.int8)) != 0) + 1
    if rule.for_s:
        edges = np.union1d(edges, np.flatnonzero(np.diff(look.ts_us) > PAUSE_US) + 1)
    bounds = [0, *edges.tolist(), len(telling)]
    pieces = []
    for first, end in pairwise(bounds):
        if not telling[first]:
            continue
        last_us = int(look.ts_us[end - 1])
        if end == len(telling):
            ended_us = None
        elif telling[end]:
            # The same on the other side of a pause: nobody knows what was in between.
            ended_us = last_us
        else:
            paused = rule.for_s and look.ts_us[end] - last_us > PAUSE_US
            ended_us = last_us if paused else int(look.ts_us[end])
        pieces.append(Stretch(int(look.ts_us[first]), ended_us, last_us, float(look.values[first])))
    return pieces


def _us(seconds: float) -> int:
    return int(seconds * SECOND_US)
