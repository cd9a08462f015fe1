"""What the fields of `xpu-smi --query-gpu` (version 2) are called here: the names of DCGM where a field is the same thing.

Source: ial/cmn/metrics of intel/xpumanager at 34c32c6, with the unit and the meaning of each field; ial/cmn/cmd_dump.cpp for
how they are printed. A field that is not the same as one of DCGM's is a metric of its own: `XPU_SMI_` and its name.
"""

from __future__ import annotations

import re

from telemetry.readings.smi_fields import SmiField, SmiVocabulary

SAME = {
    "utilization.gpu": SmiField("DCGM_FI_DEV_GPU_UTIL", "%"),
    "utilization.memory": SmiField("DCGM_FI_DEV_MEM_COPY_UTIL", "%"),
    "memory.total": SmiField("DCGM_FI_DEV_FB_TOTAL", "MiB"),
    "memory.free": SmiField("DCGM_FI_DEV_FB_FREE", "MiB"),
    "memory.used": SmiField("DCGM_FI_DEV_FB_USED", "MiB"),
    "temperature.gpu": SmiField("DCGM_FI_DEV_GPU_TEMP", "C"),
    "temperature.memory": SmiField("DCGM_FI_DEV_MEMORY_TEMP", "C"),
    "power.draw": SmiField("DCGM_FI_DEV_POWER_USAGE", "W"),
    "power.limit": SmiField("DCGM_FI_DEV_ENFORCED_POWER_LIMIT", "W"),
    "clocks.current.graphics": SmiField("DCGM_FI_DEV_SM_CLOCK", "MHz"),
    "fan.speed": SmiField("DCGM_FI_DEV_FAN_SPEED", "%"),
    "pcie.link.gen.current": SmiField("DCGM_FI_DEV_PCIE_LINK_GEN", ""),
    "pcie.link.width.current": SmiField("DCGM_FI_DEV_PCIE_LINK_WIDTH", ""),
    "pcie.replay.counter": SmiField("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", ""),
}
NAMES = frozenset(
    {"timestamp", "uuid", "index", "pci.bus_id", "name", "driver_version", "serial", "vbios_version", "pci.device_id"}
    | {"pci.sub_device_id", "clocks.throttle.reason"}
)
# It writes units in parentheses, where nvidia-smi has brackets.
HEADER = re.compile(r"([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*)(?: \(([^)]+)\))?")


def is_of_xpu_smi(names: list[str]) -> bool:
    """Whether a header has fields of such a tool with their units in parentheses."""
    return all(HEADER.fullmatch(name) for name in names) and any(name.endswith(")") for name in names)


def metric(field: str) -> str | None:
    """The metric of a field; None for one that is no measurement."""
    if field in SAME:
        return SAME[field].metric
    return None if field in NAMES else "XPU_SMI_" + re.sub(r"[^A-Z0-9]", "_", field.upper())


VOCABULARY = SmiVocabulary(SAME, lambda field: field, metric, HEADER)
