"""What the fields of `hl-smi -Q` are called here: the names of DCGM where a field is the same thing.

Source of the fields: the guide of hl-smi (docs.habana.ai, System Management Interface Tool) and the headers that it prints. A
field that is not the same as one of DCGM's is a metric of its own: `HL_SMI_` and its name. Names and versions are no metric.
"""

from __future__ import annotations

import re

from telemetry.readings.smi_fields import SmiField, SmiVocabulary

SAME = {
    "utilization.aip": SmiField("DCGM_FI_DEV_GPU_UTIL", "%"),
    "temperature.aip": SmiField("DCGM_FI_DEV_GPU_TEMP", "C"),
    "memory.total": SmiField("DCGM_FI_DEV_FB_TOTAL", "MiB"),
    "memory.free": SmiField("DCGM_FI_DEV_FB_FREE", "MiB"),
    "memory.used": SmiField("DCGM_FI_DEV_FB_USED", "MiB"),
    "power.draw": SmiField("DCGM_FI_DEV_POWER_USAGE", "W"),
}
NAMES = frozenset({"timestamp", "uuid", "index", "pci.bus_id", "name", "driver_version", "serial", "module_id"})
# Fields that only this tool has.
OWN = re.compile(r"[a-z_.]*\.aip|module_id")


def is_of_hl_smi(names: list[str]) -> bool:
    """Whether a header has a field that only hl-smi has."""
    return any(OWN.fullmatch(name.partition(" ")[0]) for name in names)


def canonical(field: str) -> str:
    """The name of a field, by which the bus of nvidia-smi is known too."""
    return "pci.bus_id" if field == "bus_id" else field


def metric(field: str) -> str | None:
    """The metric of a field by its canonical name; None for one that is no measurement."""
    if field in SAME:
        return SAME[field].metric
    return None if field in NAMES else "HL_SMI_" + re.sub(r"[^A-Z0-9]", "_", field.upper())


VOCABULARY = SmiVocabulary(SAME, canonical, metric)
