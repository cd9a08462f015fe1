"""Values of GPUs as they come from real ones: 28 metrics, at work and idle, with noise where real ones have it.

Of a GPU at rest an H200 says 79.2 to 79.3 W in steps of 1 mW, 3201 MHz and 0 errors, and of one at work 490 to 695 W: recorded
over 40 s with NVML. The noise of power at work, the ratios of profiling and rates of PCIe and NVLink are made up to be as wide.
"""

from __future__ import annotations

import numpy as np

from telemetry.readings.arrays import Float64s, Int64s

STEP_S = 15
AT_WORK = 0.75
DAY_SAMPLES = 86_400 // STEP_S
ZEROS = ("XID_ERRORS", "PCIE_REPLAY_COUNTER", "ENC_UTIL", "DEC_UTIL", "CORRECTABLE_REMAPPED_ROWS", "ROW_REMAP_FAILURE")
MORE_ZEROS = ("UNCORRECTABLE_REMAPPED_ROWS", "VGPU_LICENSE_STATUS")
RATIOS = {"GR_ENGINE_ACTIVE": 0.93, "SM_ACTIVE": 0.8, "SM_OCCUPANCY": 0.3, "PIPE_TENSOR_ACTIVE": 0.35, "DRAM_ACTIVE": 0.5}


def values(seed: int, size: int = DAY_SAMPLES) -> dict[str, Float64s]:
    """A day of a GPU by metric. It works three hours of four."""
    chance = np.random.default_rng(seed)
    works = np.repeat(chance.random(size // 240 + 1) < AT_WORK, 240)[:size]
    slow = np.convolve(chance.normal(0, 1, size + 99), np.ones(100) / 10, "valid")

    def noise(width: float) -> Float64s:
        return chance.normal(0, width, size)

    power = np.where(works, 600 + 20 * slow + noise(6), 79.25 + noise(0.04)).round(3)
    used = np.where(works, 64_000 + np.repeat(chance.integers(0, 9000, size // 60 + 1), 60)[:size], 615).astype(float)
    made = {
        "GPU_UTIL": np.where(works, (95 + noise(4)).clip(0, 100).round(), 0.0),
        "MEM_COPY_UTIL": np.where(works, (40 + noise(4)).clip(0, 100).round(), 0.0),
        "POWER_USAGE": power,
        "TOTAL_ENERGY_CONSUMPTION": np.floor(1e12 + np.cumsum(power * 1000 * STEP_S)),
        "GPU_TEMP": (34 + 30 * works + slow).round(),
        "MEMORY_TEMP": (34 + 40 * works + slow).round(),
        "SM_CLOCK": np.where(works, 1980 - 15 * np.abs(noise(2)).round(), 345.0),
        "MEM_CLOCK": np.full(size, 3201.0),
        "FB_USED": used,
        "FB_FREE": 143_156 - used,
        "FB_RESERVED": np.full(size, 615.0),
        "NVLINK_BANDWIDTH_TOTAL": np.where(works, np.floor(5e9 + noise(1e9)).clip(0), 0.0),
        "PCIE_TX_BYTES": np.floor(np.where(works, (8e8 + noise(2e8)).clip(0), 5e4 + noise(1e4))),
        "PCIE_RX_BYTES": np.floor(np.where(works, (9e8 + noise(2e8)).clip(0), 5e4 + noise(1e4))),
        "POWER_VIOLATION": np.floor(np.cumsum(works * chance.random(size) * 1e6)),
    }
    made |= {name: np.where(works, (share + noise(0.05)).clip(0, 1), 0.0).round(6) for name, share in RATIOS.items()}
    return made | {name: np.zeros(size) for name in (*ZEROS, *MORE_ZEROS)}


def times_us(host: int, day: int, size: int = DAY_SAMPLES) -> Int64s:
    """When a host was read on a day, counted from 1970: on time but for some milliseconds."""
    late_ms = np.random.default_rng([host, day]).integers(0, 60, size)
    times: Int64s = day * 86_400_000_000 + np.arange(size) * STEP_S * 1_000_000 + late_ms * 1000
    return times
