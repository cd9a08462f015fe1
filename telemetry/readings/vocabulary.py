"""What the columns of home-made files are commonly called, and which metric each such name is.

For suggestions that a person looks over: nothing is read by what stands here. Where a name, or the unit in it, may mean several
things, the word comes with a question.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from telemetry.readings import nvidia_smi
from telemetry.readings.catalogue import KNOWN, lookup
from telemetry.readings.smi_fields import HEADER
from telemetry.readings.units import conversion, named

UNIT_AT_END = re.compile(
    r"(.*?)[ _]*[\[(]([^\])]*)[\])]$|(.*[^A-Za-z])(%|pct|percent|[km]?w|watts?|mib|gib|mb|gb|bytes|c|mhz|m?j)$",
    re.IGNORECASE,
)
CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
# In lower case, as scripts write them, beside the spellings of `units`.
UNITS = {
    "c": "°C",
    "w": "W",
    "mw": "mW",
    "kw": "kW",
    "mib": "MiB",
    "gib": "GiB",
    "mb": "MB",
    "gb": "GB",
    "mhz": "MHz",
    "b": "B",
}
# Units that a name rarely says, as there is hardly another.
COMMON = {"%", "°C", "W", "MHz"}
UTIL, COPY = "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_MEM_COPY_UTIL"
# The words of a name without its unit, without "gpu" and "current", joined by a blank.
WORDS = {
    **dict.fromkeys(("util", "utilization", "utilisation", "usage", "load"), UTIL),
    **dict.fromkeys(("mem copy util", "memcpy util", "memory copy utilization"), COPY),
    **{f"{memory} {what}": metric
       for what, metric in (("used", "DCGM_FI_DEV_FB_USED"), ("total", "DCGM_FI_DEV_FB_TOTAL"), ("free", "DCGM_FI_DEV_FB_FREE"))
       for memory in ("mem", "memory", "vram", "fb")},
    **dict.fromkeys(("used memory", "used mem"), "DCGM_FI_DEV_FB_USED"),
    **dict.fromkeys(("total memory", "total mem"), "DCGM_FI_DEV_FB_TOTAL"),
    **dict.fromkeys(("power", "power draw", "power usage", "power used", "power consumption"), "DCGM_FI_DEV_POWER_USAGE"),
    **dict.fromkeys(("power limit", "power cap"), "DCGM_FI_DEV_POWER_MGMT_LIMIT"),
    **dict.fromkeys(("temp", "temperature", "core temp"), "DCGM_FI_DEV_GPU_TEMP"),
    **dict.fromkeys(("mem temp", "memory temp", "memory temperature"), "DCGM_FI_DEV_MEMORY_TEMP"),
    **dict.fromkeys(("sm clock", "clock sm", "clocks sm", "sm clk"), "DCGM_FI_DEV_SM_CLOCK"),
    **dict.fromkeys(("mem clock", "memory clock", "clock mem", "clocks mem", "mem clk"), "DCGM_FI_DEV_MEM_CLOCK"),
    **dict.fromkeys(("fan", "fan speed"), "DCGM_FI_DEV_FAN_SPEED"),
    "pstate": "DCGM_FI_DEV_PSTATE",
    **dict.fromkeys(("enc util", "encoder util", "encoder utilization"), "DCGM_FI_DEV_ENC_UTIL"),
    **dict.fromkeys(("dec util", "decoder util", "decoder utilization"), "DCGM_FI_DEV_DEC_UTIL"),
    **{f"{words}": f"DCGM_FI_PROF_{name}" for words, name in (
        ("sm active", "SM_ACTIVE"), ("sm occupancy", "SM_OCCUPANCY"), ("tensor active", "PIPE_TENSOR_ACTIVE"),
        ("dram active", "DRAM_ACTIVE"), ("gr engine active", "GR_ENGINE_ACTIVE"), ("fp16 pipe", "PIPE_FP16_ACTIVE"),
        ("fp32 pipe", "PIPE_FP32_ACTIVE"), ("fp64 pipe", "PIPE_FP64_ACTIVE"))},
}  # fmt: skip
SHARE_OF_MEMORY = ("mem util", "memory util", "memory utilization", "memory usage", "mem usage")


class Word(NamedTuple):
    """What a column is likely to be: the metric, the unit of its cells, and what to ask; without a unit it is not known."""

    metric: str
    unit: str
    question: str


def meaning(column: str) -> Word | None:
    """What the name of a column commonly means; None for a name that is in nobody's list."""
    match = HEADER.fullmatch(column)
    field = nvidia_smi.SAME.get(nvidia_smi.canonical(match[1])) if match and "." in column else None
    exact = column if column in KNOWN else field.metric if field else ""
    if exact:
        return Word(exact, lookup(exact).unit or "", "")
    bare, unit = _unit(column)
    parts = re.split(r"[^a-z0-9]+", CAMEL.sub(" ", bare).lower())
    words = " ".join(part for part in parts if part not in {"", "gpu", "current"})
    if words in SHARE_OF_MEMORY:
        question = f"Is {column} the time in which memory was read or written, as nvidia-smi has it, and not how full it is?"
        return Word(COPY, "", question)
    metric = WORDS.get(words)
    return _word(column, metric, unit) if metric else None


def _word(column: str, metric: str, unit: str) -> Word | None:
    """A metric with the unit that the name of its column says, or with what to ask; None if that is no unit of it."""
    own = lookup(metric).unit or ""
    if unit == "MB" and own == "MiB":
        return Word(metric, "", f"Is MB in {column} 1,048,576 bytes, as nvidia-smi counts: [MiB]? Or 1,000,000: [MB]?")
    if unit:
        return Word(metric, unit, "") if conversion(unit, own) else None
    if own in COMMON:
        return Word(metric, own, f"Is {column} in {own}?")
    return Word(metric, "", f"In which unit is {column}?" if own else "")


def _unit(column: str) -> tuple[str, str]:
    """A name without the unit at its end, and the unit; "" if it has none that we know."""
    match = UNIT_AT_END.fullmatch(column)
    if match is None:
        return column, ""
    bare, spelt = (match[1], match[2]) if match[2] is not None else (match[3], match[4])
    unit = named(spelt) or named(spelt.lower()) or UNITS.get(spelt.lower())
    return (bare, unit) if unit else (column, "")
