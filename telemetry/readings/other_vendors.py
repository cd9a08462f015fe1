"""What the columns of amd-smi, rocm-smi and xpu-smi are called here: the names of DCGM where a column is the same thing.

Sources: amdsmi_cli of ROCm/amdsmi (what its commands put into a CSV, with the units that it prints beside them elsewhere), the
headers that rocm-smi prints, and doc/smi_user_guide.md and ial/cmn/metrics of intel/xpumanager. The MB of amd-smi are MiB: it
divides by 1024². A column that is not the same as a field of DCGM is a metric of its own, by the name of the tool and its own.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from telemetry.readings import xpu_smi

MIB = 1024.0**2


class Meaning(NamedTuple):
    """A metric, and how many of the column's unit make one of the metric's."""

    metric: str
    per: float = 1.0


AMD_SMI = {
    "gfx_activity": Meaning("DCGM_FI_DEV_GPU_UTIL"),
    "gfx": Meaning("DCGM_FI_DEV_GPU_UTIL"),
    "umc_activity": Meaning("DCGM_FI_DEV_MEM_COPY_UTIL"),
    "encoder": Meaning("DCGM_FI_DEV_ENC_UTIL"),
    "decoder": Meaning("DCGM_FI_DEV_DEC_UTIL"),
    "socket_power": Meaning("DCGM_FI_DEV_POWER_USAGE"),
    "power_usage": Meaning("DCGM_FI_DEV_POWER_USAGE"),
    "edge": Meaning("DCGM_FI_DEV_GPU_TEMP"),
    "memory_temperature": Meaning("DCGM_FI_DEV_MEMORY_TEMP"),
    "gfx_clock": Meaning("DCGM_FI_DEV_SM_CLOCK"),
    "gfx_clk": Meaning("DCGM_FI_DEV_SM_CLOCK"),
    "mem_clock": Meaning("DCGM_FI_DEV_MEM_CLOCK"),
    "mem_0_clk": Meaning("DCGM_FI_DEV_MEM_CLOCK"),
    "vram_used": Meaning("DCGM_FI_DEV_FB_USED"),
    "used_vram": Meaning("DCGM_FI_DEV_FB_USED"),
    "vram_total": Meaning("DCGM_FI_DEV_FB_TOTAL"),
    "total_vram": Meaning("DCGM_FI_DEV_FB_TOTAL"),
    "vram_free": Meaning("DCGM_FI_DEV_FB_FREE"),
    "free_vram": Meaning("DCGM_FI_DEV_FB_FREE"),
    "pcie_replay": Meaning("DCGM_FI_DEV_PCIE_REPLAY_COUNTER"),
    "replay_count": Meaning("DCGM_FI_DEV_PCIE_REPLAY_COUNTER"),
}
# `mem` is the memory's temperature beside the one, and its utilisation beside the other.
AMD_SMI_MEM = {"hotspot": Meaning("DCGM_FI_DEV_MEMORY_TEMP"), "mem_clock": Meaning("DCGM_FI_DEV_MEM_COPY_UTIL")}
# Names that no other tool has: one of them tells a header of amd-smi from one that somebody made.
OF_AMD_SMI = frozenset(
    {"gfx_activity", "umc_activity", "socket_power", "hotspot", "hotspot_temperature", "gfx_0_clk", "gfx_clock", "gfx_clk"}
    | {"used_vram", "pcie_replay"}
)
ROCM_SMI = {
    "GPU use (%)": Meaning("DCGM_FI_DEV_GPU_UTIL"),
    "Average Graphics Package Power (W)": Meaning("DCGM_FI_DEV_POWER_USAGE"),
    "Current Socket Graphics Package Power (W)": Meaning("DCGM_FI_DEV_POWER_USAGE"),
    "Temperature (Sensor edge) (C)": Meaning("DCGM_FI_DEV_GPU_TEMP"),
    "Temperature (Sensor memory) (C)": Meaning("DCGM_FI_DEV_MEMORY_TEMP"),
    "Fan speed (%)": Meaning("DCGM_FI_DEV_FAN_SPEED"),
    "VRAM Total Memory (B)": Meaning("DCGM_FI_DEV_FB_TOTAL", MIB),
    "VRAM Total Used Memory (B)": Meaning("DCGM_FI_DEV_FB_USED", MIB),
}
XPU_SMI = {
    "GPU Utilization (%)": Meaning("DCGM_FI_DEV_GPU_UTIL"),
    "GPU Power (W)": Meaning("DCGM_FI_DEV_POWER_USAGE"),
    "GPU Frequency (MHz)": Meaning("DCGM_FI_DEV_SM_CLOCK"),
    "GPU Core Temperature (Celsius Degree)": Meaning("DCGM_FI_DEV_GPU_TEMP"),
    "GPU Core Temperature (C)": Meaning("DCGM_FI_DEV_GPU_TEMP"),
    "GPU Memory Temperature (Celsius Degree)": Meaning("DCGM_FI_DEV_MEMORY_TEMP"),
    "GPU Memory Temperature (C)": Meaning("DCGM_FI_DEV_MEMORY_TEMP"),
    "GPU Memory Used (MiB)": Meaning("DCGM_FI_DEV_FB_USED"),
}
# As version 2 calls its columns.
XPU_SMI |= {f"{name} ({of.unit})" if of.unit else name: Meaning(of.metric) for name, of in xpu_smi.SAME.items()}


def amd_smi(names: list[str]) -> dict[str, Meaning]:
    """The columns of amd-smi that are known, beside these others."""
    memory = [meaning for beside, meaning in AMD_SMI_MEM.items() if beside in names]
    return AMD_SMI | ({"mem": memory[0]} if len(memory) == 1 else {})


def own(prefix: str, name: str) -> Meaning:
    """A metric of its own for a column that nobody listed."""
    return Meaning(prefix + re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_"))
