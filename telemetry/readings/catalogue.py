"""The metrics we know: unit, meaning and kind of each field that dcgm-exporter is commonly set to export.

Names and meanings follow NVIDIA's field identifiers (dcgm_fields.h) and the exporter's own lists
(etc/default-counters.csv, etc/dcp-metrics-included.csv of NVIDIA/dcgm-exporter). A `counter` is a cumulative count of
64 bits; everything else is a gauge. Three fields which the exporter's lists call counters are gauges here, because DCGM
computes a rate for them: the two PCIe throughputs (NVML's rate over 20 ms) and the NVLink bandwidth (DcgmCacheManager
divides the counters' difference by the time between them).

What a metric nobody listed is, `lookup` says. Storing the catalogue is left to the collector.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Kind = Literal["gauge", "counter"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric by its field name. `unit` is None for counts, codes and bit masks, and where we do not know it."""

    name: str
    unit: str | None
    description: str | None
    kind: Kind


_GAUGES: tuple[tuple[str, str | None, str], ...] = (
    ("DEV_SM_CLOCK", "MHz", "Clock of the streaming multiprocessors"),
    ("DEV_MEM_CLOCK", "MHz", "Clock of the memory"),
    ("DEV_VIDEO_CLOCK", "MHz", "Clock of the video encoder and decoder"),
    ("DEV_GPU_TEMP", "°C", "Temperature of the GPU"),
    ("DEV_MEMORY_TEMP", "°C", "Temperature of the memory"),
    ("DEV_SLOWDOWN_TEMP", "°C", "Temperature at which the GPU slows itself down"),
    ("DEV_SHUTDOWN_TEMP", "°C", "Temperature at which the GPU switches itself off"),
    ("DEV_POWER_USAGE", "W", "Power drawn"),
    ("DEV_POWER_USAGE_INSTANT", "W", "Power drawn, without averaging"),
    ("DEV_POWER_MGMT_LIMIT", "W", "Power limit that is set"),
    ("DEV_ENFORCED_POWER_LIMIT", "W", "Power limit that the driver enforces, all limits considered"),
    ("DEV_FAN_SPEED", "%", "Speed of the fan, of its maximum"),
    ("DEV_PSTATE", None, "Performance state, 0 the highest to 15 the lowest"),
    ("DEV_GPU_UTIL", "%", "Share of time in which at least one kernel ran"),
    ("DEV_MEM_COPY_UTIL", "%", "Share of time in which device memory was read or written"),
    ("DEV_ENC_UTIL", "%", "Utilisation of the video encoder"),
    ("DEV_DEC_UTIL", "%", "Utilisation of the video decoder"),
    ("DEV_FB_TOTAL", "MiB", "Framebuffer memory in all"),
    ("DEV_FB_FREE", "MiB", "Framebuffer memory that is free"),
    ("DEV_FB_USED", "MiB", "Framebuffer memory in use"),
    ("DEV_FB_RESERVED", "MiB", "Framebuffer memory that the driver keeps for itself"),
    ("DEV_FB_USED_PERCENT", "ratio", "Framebuffer memory in use, of what is not reserved"),
    ("DEV_BAR1_TOTAL", "MB", "BAR1 memory in all"),
    ("DEV_BAR1_USED", "MB", "BAR1 memory in use"),
    ("DEV_BAR1_FREE", "MB", "BAR1 memory that is free"),
    ("DEV_XID_ERRORS", None, "Code of the last XID error; 0 where there was none"),
    ("DEV_CLOCK_THROTTLE_REASONS", None, "Bit mask of the reasons that hold the clocks down"),
    ("DEV_CLOCKS_EVENT_REASONS", None, "Bit mask of the reasons that hold the clocks down; the newer name"),
    ("DEV_PCIE_TX_THROUGHPUT", "KB/s", "Rate sent over PCIe, as NVML samples it"),
    ("DEV_PCIE_RX_THROUGHPUT", "KB/s", "Rate received over PCIe, as NVML samples it"),
    ("DEV_PCIE_LINK_GEN", None, "Generation the PCIe link runs at"),
    ("DEV_PCIE_LINK_WIDTH", None, "Lanes the PCIe link runs on"),
    ("DEV_NVLINK_BANDWIDTH_TOTAL", "MB/s", "Rate over all NVLinks, both directions"),
    ("DEV_VGPU_LICENSE_STATUS", None, "Whether the vGPU is licensed"),
    ("DEV_RETIRED_PENDING", None, "Memory pages waiting to be retired"),
    ("DEV_ROW_REMAP_FAILURE", None, "1 once a memory row could not be remapped"),
    ("DEV_ROW_REMAP_PENDING", None, "1 while a remapping of memory rows waits for a reset"),
    ("PROF_GR_ENGINE_ACTIVE", "ratio", "Share of time in which the graphics or compute engine was active"),
    ("PROF_SM_ACTIVE", "ratio", "Share of cycles in which a multiprocessor had at least one warp"),
    ("PROF_SM_OCCUPANCY", "ratio", "Warps resident on a multiprocessor, of the most it can hold"),
    ("PROF_PIPE_TENSOR_ACTIVE", "ratio", "Share of cycles in which the tensor pipe was active"),
    ("PROF_PIPE_FP64_ACTIVE", "ratio", "Share of cycles in which the FP64 pipe was active"),
    ("PROF_PIPE_FP32_ACTIVE", "ratio", "Share of cycles in which the FP32 pipe was active"),
    ("PROF_PIPE_FP16_ACTIVE", "ratio", "Share of cycles in which the FP16 pipe was active, tensor pipe excluded"),
    ("PROF_DRAM_ACTIVE", "ratio", "Share of cycles in which the memory interface moved data"),
    ("PROF_PCIE_TX_BYTES", "B/s", "Rate sent over PCIe, headers included"),
    ("PROF_PCIE_RX_BYTES", "B/s", "Rate received over PCIe, headers included"),
    ("PROF_NVLINK_TX_BYTES", "B/s", "Rate sent over NVLink"),
    ("PROF_NVLINK_RX_BYTES", "B/s", "Rate received over NVLink"),
)

_COUNTERS: tuple[tuple[str, str | None, str], ...] = (
    ("DEV_TOTAL_ENERGY_CONSUMPTION", "mJ", "Energy consumed since the driver was loaded"),
    ("DEV_PCIE_REPLAY_COUNTER", None, "PCIe packets that had to be sent again"),
    ("DEV_ECC_SBE_VOL_TOTAL", None, "Single-bit memory errors since the last reset, corrected"),
    ("DEV_ECC_DBE_VOL_TOTAL", None, "Double-bit memory errors since the last reset, not correctable"),
    ("DEV_ECC_SBE_AGG_TOTAL", None, "Single-bit memory errors over the GPU's life, corrected"),
    ("DEV_ECC_DBE_AGG_TOTAL", None, "Double-bit memory errors over the GPU's life, not correctable"),
    ("DEV_RETIRED_SBE", None, "Memory pages retired for single-bit errors"),
    ("DEV_RETIRED_DBE", None, "Memory pages retired for double-bit errors"),
    ("DEV_UNCORRECTABLE_REMAPPED_ROWS", None, "Memory rows remapped for uncorrectable errors"),
    ("DEV_CORRECTABLE_REMAPPED_ROWS", None, "Memory rows remapped for correctable errors"),
    ("DEV_POWER_VIOLATION", "ns", "Time for which the power limit held the clocks down"),
    ("DEV_THERMAL_VIOLATION", "ns", "Time for which heat held the clocks down"),
    ("DEV_SYNC_BOOST_VIOLATION", "ns", "Time for which sync boost held the clocks down"),
    ("DEV_BOARD_LIMIT_VIOLATION", "ns", "Time for which a limit of the board held the clocks down"),
    ("DEV_LOW_UTIL_VIOLATION", "ns", "Time for which low utilisation held the clocks down"),
    ("DEV_RELIABILITY_VIOLATION", "ns", "Time for which the reliability limit held the clocks down"),
    ("DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", None, "CRC errors of NVLink's flow control"),
    ("DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL", None, "CRC errors of NVLink's data"),
    ("DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL", None, "NVLink transfers that had to be sent again"),
    ("DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL", None, "NVLink recoveries from an error"),
)

# Metrics of tools that are no fields of DCGM. Sources: the help of nvidia-smi, driver 580; the manual of scontrol.
_OF_TOOLS = (
    ("NVIDIA_SMI_PROCESS_MEMORY_USED", "MiB", "Framebuffer memory that one process holds"),
    ("NVIDIA_SMI_PROCESS_SM", "%", "Share of time in which the multiprocessors ran one process"),
    ("SLURM_JOB_HELD", "s", "Time for which a job of Slurm has had the GPU"),
    ("KUBERNETES_POD_HELD", "s", "Time for which a pod of Kubernetes is known to have had the GPU"),
    ("NVIDIA_SMI_PROCESS_MEM", "%", "Share of time in which device memory was read or written for one process"),
)


def _metrics() -> Iterator[Metric]:
    for field, unit, description in _GAUGES:
        yield Metric(f"DCGM_FI_{field}", unit, description, "gauge")
    for field, unit, description in _COUNTERS:
        yield Metric(f"DCGM_FI_{field}", unit, description, "counter")
    for name, unit, description in _OF_TOOLS:
        yield Metric(name, unit, description, "gauge")


KNOWN: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _metrics()})


def lookup(name: str) -> Metric:
    """What is known of a metric. One nobody listed is a gauge without a unit: reading it as a counter could mislead."""
    return KNOWN.get(name) or Metric(name, None, None, "gauge")
