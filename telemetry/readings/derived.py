"""Derived metrics: values that are made of the readings of several metrics at one time, by name, with their formulas.

A formula is a sum of metrics over a sum of metrics, of the same GPU (or MIG instance) at the same time. How it becomes SQL is
the store's.
"""

from __future__ import annotations

from typing import NamedTuple

USED, FREE = "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE"
POWER, LIMIT = "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_POWER_MGMT_LIMIT"


class Formula(NamedTuple):
    """A derived value: the sum of some metrics, divided by the sum of others unless there are none."""

    over: tuple[str, ...]
    under: tuple[str, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics that it needs, each once."""
        return tuple(dict.fromkeys((*self.over, *self.under)))

    @property
    def text(self) -> str:
        """The formula for people."""
        return " ÷ ".join(_sum(names) for names in (self.over, self.under) if names)


class Derived(NamedTuple):
    """A derived metric. Its unit is that of a ratio."""

    formula: Formula
    description: str


# What a tensor pipe does is no MFU: how many of the cycles were useful cannot be told from a GPU's counters.
DERIVED: dict[str, Derived] = {
    "memory_used_ratio": Derived(Formula((USED,), (USED, FREE)), "Framebuffer memory in use, of what is not reserved"),
    "power_limit_ratio": Derived(Formula((POWER,), (LIMIT,)), "Power drawn, of the limit that is set"),
    "tensor_active": Derived(
        Formula(("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",)), "Share of cycles in which a tensor pipe was active; this is not MFU"
    ),
}


def _sum(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"({' + '.join(names)})"
