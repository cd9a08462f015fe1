"""Units of measured values: how they are spelt, and by what a number of one becomes a number of another.

A conversion is a fraction, times / over, of whole numbers, so that a value is rounded once at most. A temperature has one unit
alone: from others it would be a guess of the last digit. Another conversion, or another unit in the catalogue, is a change of
meaning: raise the version of the format `mapped`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

# The first spelling of each is its name here, and in the catalogue.
SPELLINGS: dict[str, tuple[str, ...]] = {
    "%": ("%", "pct", "percent"),
    "ratio": ("ratio",),
    "°C": ("°C", "C", "degC", "celsius"),
    "mW": ("mW",),
    "W": ("W", "watt", "watts", "Watts"),
    "kW": ("kW",),
    "mJ": ("mJ",),
    "J": ("J", "joules"),
    "kJ": ("kJ",),
    "Wh": ("Wh",),
    "kWh": ("kWh",),
    "Hz": ("Hz",),
    "kHz": ("kHz",),
    "MHz": ("MHz", "Mhz", "mhz"),
    "GHz": ("GHz",),
    "ns": ("ns",),
    "us": ("us", "µs"),
    "ms": ("ms",),
    "s": ("s", "sec"),
    "B": ("B", "bytes"),
    "KB": ("KB", "kB"),
    "MB": ("MB",),
    "GB": ("GB",),
    "KiB": ("KiB",),
    "MiB": ("MiB", "mib"),
    "GiB": ("GiB", "gib"),
    **{f"{unit}/s": (f"{unit}/s", f"{unit}ps") for unit in ("B", "KB", "MB", "GB", "KiB", "MiB", "GiB")},
}
_NAMES = {spelling: unit for unit, spellings in SPELLINGS.items() for spelling in spellings}
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
# Of each kind of quantity: how many of a unit that all of them share.
_KINDS: tuple[dict[str, int], ...] = (
    {"%": 1, "ratio": 100},
    {"mW": 1, "W": 10**3, "kW": 10**6},
    {"mJ": 1, "J": 10**3, "kJ": 10**6, "Wh": 3_600_000, "kWh": 3_600_000_000},
    {"Hz": 1, "kHz": 10**3, "MHz": 10**6, "GHz": 10**9},
    {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9},
    _BYTES,
    {f"{unit}/s": size for unit, size in _BYTES.items()},
)


class Conversion(NamedTuple):
    """A number of one unit is `times` / `over` of it of the other."""

    times: int
    over: int


SAME = Conversion(1, 1)


def named(spelling: str) -> str | None:
    """The unit that is spelt so, None for none that we know."""
    return _NAMES.get(spelling)


def conversion(of: str, into: str) -> Conversion | None:
    """From one unit to another; None where they are not of one kind."""
    if of == into:
        return SAME
    for kind in _KINDS:
        if of in kind and into in kind:
            return Conversion(*Fraction(kind[of], kind[into]).as_integer_ratio())
    return None


def convertible(into: str) -> list[str]:
    """The units that become this one."""
    return [unit for unit in SPELLINGS if conversion(unit, into)]
