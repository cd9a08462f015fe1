"""What the columns of `nvidia-smi dmon` are called here: the names of DCGM where a column is the same thing.

Source of the columns: `nvidia-smi dmon --help` of driver 580, and the headers that it prints with every selection. A column
that is not the same as a field of DCGM is a metric of its own: `NVIDIA_SMI_DMON_` and its name. So are the errors of ECC, of
which the tool does not say since when it counts them, and the rates of PCIe, of which it does not say what it takes for a MB.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class DmonColumn(NamedTuple):
    """A metric, the unit in the second line of the header, and how many of that make one of the metric's unit."""

    metric: str
    unit: str
    per: float = 1.0


# A MB of dmon is a MiB: of the same second, `fb` is what `nvidia-smi --query-gpu=memory.used` prints in MiB.
KNOWN = {
    "pwr": DmonColumn("DCGM_FI_DEV_POWER_USAGE", "W"),
    "gtemp": DmonColumn("DCGM_FI_DEV_GPU_TEMP", "C"),
    "temp": DmonColumn("DCGM_FI_DEV_GPU_TEMP", "C"),
    "mtemp": DmonColumn("DCGM_FI_DEV_MEMORY_TEMP", "C"),
    "sm": DmonColumn("DCGM_FI_DEV_GPU_UTIL", "%"),
    "mem": DmonColumn("DCGM_FI_DEV_MEM_COPY_UTIL", "%"),
    "enc": DmonColumn("DCGM_FI_DEV_ENC_UTIL", "%"),
    "dec": DmonColumn("DCGM_FI_DEV_DEC_UTIL", "%"),
    "jpg": DmonColumn("NVIDIA_SMI_UTILIZATION_JPEG", "%"),
    "ofa": DmonColumn("NVIDIA_SMI_UTILIZATION_OFA", "%"),
    "mclk": DmonColumn("DCGM_FI_DEV_MEM_CLOCK", "MHz"),
    "pclk": DmonColumn("DCGM_FI_DEV_SM_CLOCK", "MHz"),
    "pviol": DmonColumn("NVIDIA_SMI_DMON_PVIOL", "%"),
    "tviol": DmonColumn("NVIDIA_SMI_DMON_TVIOL", "bool"),
    "fb": DmonColumn("DCGM_FI_DEV_FB_USED", "MB"),
    "bar1": DmonColumn("DCGM_FI_DEV_BAR1_USED", "MB"),
    "ccpm": DmonColumn("NVIDIA_SMI_DMON_CCPM", "MB"),
    "sbecc": DmonColumn("NVIDIA_SMI_DMON_SBECC", "errs"),
    "dbecc": DmonColumn("NVIDIA_SMI_DMON_DBECC", "errs"),
    "pci": DmonColumn("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", "errs"),
    "rxpci": DmonColumn("NVIDIA_SMI_DMON_RXPCI", "MB/s"),
    "txpci": DmonColumn("NVIDIA_SMI_DMON_TXPCI", "MB/s"),
    "gract": DmonColumn("DCGM_FI_PROF_GR_ENGINE_ACTIVE", "GPM:%", 100.0),
    "smutil": DmonColumn("DCGM_FI_PROF_SM_ACTIVE", "GPM:%", 100.0),
    "smocc": DmonColumn("DCGM_FI_PROF_SM_OCCUPANCY", "GPM:%", 100.0),
    "mmaact": DmonColumn("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "GPM:%", 100.0),
    "dram": DmonColumn("DCGM_FI_PROF_DRAM_ACTIVE", "GPM:%", 100.0),
}
# The words of the unit line that stand under date, time and GPU.
UNITS = {"date": "YYYYMMDD", "time": "HH:MM:SS", "gpu": "Idx"}
NAME = re.compile(r"[a-z][a-z0-9_]*")
# Of `nvidia-smi pmon`, which is about processes.
OF_PROCESS = frozenset({"pid", "type", "command"})


# What each process has of a GPU, by the columns of pmon; one that nobody listed is `NVIDIA_SMI_PROCESS_` and its name.
PROCESS_KNOWN = {
    **{name: DmonColumn(f"NVIDIA_SMI_PROCESS_{name.upper()}", "%") for name in ("sm", "mem", "enc", "dec", "jpg", "ofa")},
    "fb": DmonColumn("NVIDIA_SMI_PROCESS_MEMORY_USED", "MB"),
    "ccpm": DmonColumn("NVIDIA_SMI_PROCESS_CCPM", "MB"),
}
PROCESS_UNITS = UNITS | {"pid": "#", "type": "C/G", "command": "name"}


def process_column(name: str) -> DmonColumn:
    """As `column`, of pmon."""
    return PROCESS_KNOWN.get(name) or DmonColumn("NVIDIA_SMI_PROCESS_" + re.sub(r"[^A-Z0-9]", "_", name.upper()), "")


def column(name: str) -> DmonColumn:
    """What a column is by its name; of one that nobody listed, a metric of its own, of any unit."""
    return KNOWN.get(name) or DmonColumn("NVIDIA_SMI_DMON_" + re.sub(r"[^A-Z0-9]", "_", name.upper()), "")
