"""The rules: what a reading must be like to tell of a fault, and what is said and done then. `rules_file` reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

Severity = Literal["note", "degraded", "faulty"]
Comparator = Literal["above", "at_least", "below", "equals", "none_of", "any_bit", "increase_above"]
Kind = Literal["xid", "ecc", "remap", "nvlink", "pcie", "throttle", "temperature", "clocks", "straggler", "silence", "other"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
KINDS: tuple[Kind, ...] = get_args(Kind)
XID_METRIC = "DCGM_FI_DEV_XID_ERRORS"
SILENT, STRAGGLER = "silent", "straggler"
# Readings further apart say nothing of the time between them.
PAUSE_S = 600.0


@dataclass(frozen=True, slots=True)
class While:
    """Another metric of the GPU that must be at least at a value."""

    metric: str
    at_least: float


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. The comments in `defaults.toml` say what each field means; `codes` are those that `none_of` leaves out."""

    name: str
    kind: Kind
    metrics: tuple[str, ...]
    comparator: Comparator
    threshold: float
    severity: Severity
    says: str
    action: str
    source: str
    models: tuple[tuple[str, float], ...] = ()
    codes: frozenset[int] = frozenset()
    per_s: float | None = None
    for_s: float = 0.0
    hold_s: float = 0.0
    during: While | None = None
    is_heuristic: bool = False

    def limit(self, model: str | None) -> float:
        """The threshold for a model of GPU."""
        return next((value for part, value in self.models if part in (model or "")), self.threshold)

    @property
    def reach_s(self) -> float:
        """How far from a reading others may lie that change what it means."""
        return max(self.for_s, self.hold_s)

    def may_hold(self, low: float, high: float, model: str | None) -> bool:
        """Whether readings between two values may tell of it."""
        limit = self.limit(model)
        match self.comparator:
            case "above":
                return high > limit
            case "any_bit":
                # Its lowest bit at least.
                return high >= int(limit) & -int(limit)
            case "below":
                return low < limit
            case "none_of":
                return high > 0
            case "increase_above":
                return high > low
        return high >= limit and (self.comparator == "at_least" or low <= limit)


@dataclass(frozen=True, slots=True)
class Straggler:
    """When a GPU does less than the others of its job: a heuristic."""

    is_enabled: bool
    metric: str
    deviations: float
    at_least_below: float
    gpus: int
    severity: Severity
    says: str
    action: str
    source: str


@dataclass(frozen=True)
class Rules:
    """All rules by name, and what is not of a single reading."""

    rules: Mapping[str, Rule]
    straggler: Straggler
    silent_after_s: float
    missed_for_s: float
    silent_action: str
    expected_gpus: tuple[tuple[str, int], ...] = field(default=())

    @cached_property
    def by_metric(self) -> dict[str, tuple[Rule, ...]]:
        """The rules that look at each metric."""
        metrics = dict.fromkeys(metric for rule in self.rules.values() for metric in rule.metrics)
        return {metric: tuple(rule for rule in self.rules.values() if metric in rule.metrics) for metric in metrics}

    @cached_property
    def digest(self) -> str:
        """What changes when a rule does."""
        return hashlib.sha256(repr((*self.rules.values(), self.straggler, self.silent_after_s)).encode()).hexdigest()[:16]

    def wording(self, name: str) -> tuple[str, str, bool]:
        """What is said of a rule, what to do, and whether it is a heuristic; a rule that is gone has its name alone."""
        if name == SILENT:
            return "silent", self.silent_action, False
        if name == STRAGGLER:
            return self.straggler.says, self.straggler.action, True
        rule = self.rules.get(name)
        if rule is None:
            return name, "", False
        code = name.partition("-")[2]
        says = f"XID {code}: {rule.says}" if rule.comparator == "equals" and rule.kind == "xid" else rule.says
        return says, rule.action, rule.is_heuristic
