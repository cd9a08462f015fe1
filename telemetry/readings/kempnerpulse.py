"""What the columns of KempnerPulse's export are called here: the names of DCGM where a column is the same thing.

Source: docs/export.md and EXPORT_CSV_COLUMNS of KempnerInstitute/kempnerpulse. Shares of cycles are percentages there and
ratios in DCGM. What the tool computes itself is a metric of its own, and so is its energy, which it rounds.
"""

from __future__ import annotations

from typing import NamedTuple


class PulseColumn(NamedTuple):
    """A metric, and how many of the column's unit make one of the metric's."""

    metric: str
    per: float = 1.0


OWN = "KEMPNERPULSE_"
# They name the GPU and the moment, or are words.
NAMES = frozenset({"timestamp", "gpu_id", "model", "status", "health"})
_SHARES = {
    "sm_active_pct": "SM_ACTIVE",
    "tensor_active_pct": "PIPE_TENSOR_ACTIVE",
    "dram_active_pct": "DRAM_ACTIVE",
    "gr_engine_active_pct": "GR_ENGINE_ACTIVE",
    "sm_occupancy_pct": "SM_OCCUPANCY",
    "fp16_pipe_pct": "PIPE_FP16_ACTIVE",
    "fp32_pipe_pct": "PIPE_FP32_ACTIVE",
    "fp64_pipe_pct": "PIPE_FP64_ACTIVE",
}
_COMPUTED = (
    *("real_util_pct", "mem_used_pct", "nvlink_gbps", "pcie_replay_rate_s", "energy_j"),
    *("tc_hmma_pct", "tc_imma_pct", "tc_dfma_pct", "tc_dmma_pct", "tc_qmma_pct"),
)
COLUMNS = {
    "gpu_util_pct": PulseColumn("DCGM_FI_DEV_GPU_UTIL"),
    "mem_used_mib": PulseColumn("DCGM_FI_DEV_FB_USED"),
    "mem_total_mib": PulseColumn("DCGM_FI_DEV_FB_TOTAL"),
    "power_w": PulseColumn("DCGM_FI_DEV_POWER_USAGE"),
    "gpu_temp_c": PulseColumn("DCGM_FI_DEV_GPU_TEMP"),
    "mem_temp_c": PulseColumn("DCGM_FI_DEV_MEMORY_TEMP"),
    "memcpy_util_pct": PulseColumn("DCGM_FI_DEV_MEM_COPY_UTIL"),
    "pcie_rx_bytes_s": PulseColumn("DCGM_FI_PROF_PCIE_RX_BYTES"),
    "pcie_tx_bytes_s": PulseColumn("DCGM_FI_PROF_PCIE_TX_BYTES"),
    "sm_clock_mhz": PulseColumn("DCGM_FI_DEV_SM_CLOCK"),
    "mem_clock_mhz": PulseColumn("DCGM_FI_DEV_MEM_CLOCK"),
    **{name: PulseColumn(f"DCGM_FI_PROF_{field}", 100.0) for name, field in _SHARES.items()},
    **{name: PulseColumn(OWN + name.upper()) for name in _COMPUTED},
}
# One of these tells its export from a file that somebody made.
OF_PULSE = frozenset({*_SHARES, *_COMPUTED, "memcpy_util_pct"})


def is_of_pulse(names: list[str]) -> bool:
    """Whether a header has columns of this tool alone, with a time and a GPU, none twice."""
    is_complete = {"timestamp", "gpu_id"} <= set(names) <= NAMES | COLUMNS.keys() and len(set(names)) == len(names)
    return is_complete and not OF_PULSE.isdisjoint(names)
