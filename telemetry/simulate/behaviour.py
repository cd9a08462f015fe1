"""The values of every metric of every GPU over time, from the demand on it and its faults.

Power follows the work, temperature follows power slowly, clocks follow both. Values are float64 of shape (times, metrics,
GPUs), rounded as the exporter rounds them, metrics in the order of `METRICS`. Text is `rows`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telemetry.simulate.faults import Faults, Trouble
from telemetry.simulate.fleet import Host
from telemetry.simulate.jobs import Work
from telemetry.simulate.load import Demand, Load
from telemetry.simulate.state import Counters, Warmth
from telemetry.simulate.timeline import SECOND

Floats = NDArray[np.float64]

METRICS = tuple(
    f"DCGM_FI_{field}"
    for field in (
        "DEV_GPU_UTIL",
        "DEV_MEM_COPY_UTIL",
        "DEV_ENC_UTIL",
        "DEV_DEC_UTIL",
        "DEV_POWER_USAGE",
        "DEV_TOTAL_ENERGY_CONSUMPTION",
        "DEV_GPU_TEMP",
        "DEV_MEMORY_TEMP",
        "DEV_SM_CLOCK",
        "DEV_MEM_CLOCK",
        "DEV_FB_USED",
        "DEV_FB_FREE",
        "DEV_XID_ERRORS",
        "DEV_ECC_SBE_VOL_TOTAL",
        "DEV_ECC_DBE_VOL_TOTAL",
        "DEV_CORRECTABLE_REMAPPED_ROWS",
        "DEV_UNCORRECTABLE_REMAPPED_ROWS",
        "DEV_ROW_REMAP_FAILURE",
        "DEV_PCIE_REPLAY_COUNTER",
        "DEV_CLOCK_THROTTLE_REASONS",
        "DEV_POWER_VIOLATION",
        "DEV_THERMAL_VIOLATION",
        "DEV_NVLINK_BANDWIDTH_TOTAL",
        "PROF_GR_ENGINE_ACTIVE",
        "PROF_PIPE_TENSOR_ACTIVE",
        "PROF_DRAM_ACTIVE",
        "PROF_PCIE_TX_BYTES",
        "PROF_PCIE_RX_BYTES",
    )
)

THROTTLE_C = 86.0
HOTTEST_C = 92.0
BOOT_PERIOD_S = 120 * 86_400
# How much GPUs differ: air in °C, degrees over it at the power limit, power for the same work.
SPREAD = ((23.0, 29.0), (38.0, 47.0), (0.94, 1.04))
# Rows of memory that can be remapped before a remapping fails.
SPARE_ROWS = 8
# A smaller ratio would need an exponent in the text.
MIN_RATIO = 1e-4
GPU_IDLE, SW_POWER_CAP, SW_THERMAL = 0x1, 0x4, 0x20  # bits of DCGM_FI_DEV_CLOCK_THROTTLE_REASONS


@dataclass(frozen=True, slots=True)
class FleetReading:
    """The fleet at some times: values (times, metrics, GPUs), silent GPUs (times, GPUs), slots of the jobs (times, hosts)."""

    values: Floats
    silent: NDArray[np.bool_]
    slots: NDArray[np.int64]


class Behaviour:
    """A fleet whose temperatures and counters continue from one call to the next."""

    def __init__(self, fleet: tuple[Host, ...], seed: int, start_us: int, interval_us: int) -> None:
        start_s, self._interval_s = start_us // SECOND, interval_us / SECOND
        models = [host.model for host in fleet for _ in host.gpus]
        gpus = len(models)
        self.load = Load(fleet, seed, start_s)
        self._faults = Faults(gpus, seed, start_s, self._interval_s)
        self._jitter = np.random.default_rng((seed, start_s, 4))
        self._limit_w = np.array([model.limit_w for model in models])
        self._asleep_w = np.array([model.asleep_w for model in models])
        self._awake_w = np.array([model.awake_w for model in models])
        self._sm_mhz = np.array([model.sm_mhz for model in models])
        self._asleep_mhz = np.array([model.asleep_mhz for model in models])
        self._mem_mhz = np.array([float(model.mem_mhz) for model in models])
        self._fb_mib = np.array([float(model.fb_mib) for model in models])
        self._nvlink = np.array([model.nvlink_mb_s for model in models])
        # No two GPUs are alike: air, heat sink and silicon differ.
        rng = np.random.default_rng((seed, 0xC001))
        self._air_c, self._sink, self._silicon = (rng.uniform(*span, gpus) for span in SPREAD)
        self._warmth = Warmth(self._interval_s)
        self._counters = Counters(gpus)
        # As if at the limit since the last boot, so a run that continues an earlier one never counts backwards.
        since_boot_s = (start_us / SECOND + rng.integers(0, BOOT_PERIOD_S, gpus)) % BOOT_PERIOD_S
        self._counters.begin("energy", self._limit_w * since_boot_s * 1000.0)
        self._power = np.zeros(gpus)

    def over(self, seconds: Floats) -> FleetReading:
        """The readings at `seconds`, a sequence of times after those of earlier calls."""
        demand, trouble = self.load.over(seconds), self._faults.over(seconds)
        jitter = self._jitter.standard_normal(demand.busy.shape)
        held = demand.work != Work.IDLE
        still = np.where(held, self._awake_w, self._asleep_w)
        effort = demand.busy * (0.74 * self._silicon + 0.3 * demand.memory)
        asked_w = still + (self._limit_w - still) * effort + np.where(held, 3.0, 0.6) * jitter
        heating = self._sink * asked_w / self._limit_w * np.where(trouble.hot, 1.8, 1.0)
        temperature = self._warmth.after(np.minimum(self._air_c + heating, HOTTEST_C))
        throttled = temperature > THROTTLE_C
        capped = asked_w > 0.97 * self._limit_w
        power = np.round(np.clip(np.where(throttled, 0.7 * asked_w, asked_w), 0.4 * self._asleep_w, self._limit_w), 3)
        # What was drawn since the time before; at the first, nothing yet.
        spent = np.vstack([self._power, power[:-1]]) * self._interval_s * 1000.0
        self._power = power[-1]
        slowed = np.where(throttled, 0.68, np.where(capped, 0.985, 1.0))
        clock = np.where(held, np.floor(self._sm_mhz * slowed / 15) * 15, self._asleep_mhz)
        reasons = np.where(held, 0, GPU_IDLE) + np.where(throttled, SW_THERMAL, 0) + np.where(capped, SW_POWER_CAP, 0)
        used = np.round(4 + demand.fill * self._fb_mib + np.where(held, 2.0, 0.0) * np.abs(jitter))
        columns = {
            "DEV_POWER_USAGE": power,
            "DEV_TOTAL_ENERGY_CONSUMPTION": np.floor(self._counters.add("energy", spent)),
            "DEV_GPU_TEMP": np.round(temperature),
            "DEV_MEMORY_TEMP": np.minimum(np.round(temperature + 3 + 9 * demand.memory), 98),
            "DEV_SM_CLOCK": clock,
            "DEV_MEM_CLOCK": self._mem_mhz,
            "DEV_FB_USED": used,
            "DEV_FB_FREE": self._fb_mib - used,
            "DEV_CLOCK_THROTTLE_REASONS": reasons,
            "DEV_POWER_VIOLATION": self._counters.add("power", capped * self._interval_s * 0.6e9),
            "DEV_THERMAL_VIOLATION": self._counters.add("thermal", throttled * self._interval_s * 0.9e9),
            **self._activity(demand, jitter),
            **self._errors(trouble),
        }
        values = np.zeros((len(seconds), len(METRICS), len(self._limit_w)))
        for place, name in enumerate(METRICS):
            column = columns.get(name.removeprefix("DCGM_FI_"))
            if column is not None:
                values[:, place] = column
        return FleetReading(values, trouble.silent, demand.slots)

    def _activity(self, demand: Demand, jitter: Floats) -> dict[str, Floats]:
        training = demand.work == Work.TRAINING
        serving = demand.work == Work.INFERENCE
        wobble = 1 + 0.04 * np.tanh(jitter)
        tensor = demand.busy * np.choose(demand.work, (0.0, 0.46, 0.22, 0.1)) * wobble
        feed = demand.busy * np.choose(demand.work, (0.0, 2.4e9, 6e8, 1e8)) * wobble
        return {
            "DEV_GPU_UTIL": np.round(100 * demand.busy),
            "DEV_MEM_COPY_UTIL": np.round(100 * demand.memory),
            "DEV_DEC_UTIL": np.round(9 * demand.busy * serving),
            "DEV_NVLINK_BANDWIDTH_TOTAL": np.floor(self._nvlink * training * demand.busy * wobble * 0.55),
            "PROF_GR_ENGINE_ACTIVE": _ratio(demand.busy * (1 - 0.006 * np.abs(np.tanh(jitter)))),
            "PROF_PIPE_TENSOR_ACTIVE": _ratio(tensor),
            "PROF_DRAM_ACTIVE": _ratio(demand.memory * 0.8 * wobble),
            "PROF_PCIE_TX_BYTES": np.floor(0.4 * feed + 52_000),
            "PROF_PCIE_RX_BYTES": np.floor(feed + 88_000),
        }

    def _errors(self, trouble: Trouble) -> dict[str, Floats]:
        single = self._counters.add("sbe", trouble.single_bit)
        double = self._counters.add("dbe", trouble.double_bit)
        return {
            "DEV_XID_ERRORS": trouble.xid.astype(np.float64),
            "DEV_ECC_SBE_VOL_TOTAL": single,
            "DEV_ECC_DBE_VOL_TOTAL": double,
            "DEV_CORRECTABLE_REMAPPED_ROWS": np.floor(single / 400),
            "DEV_UNCORRECTABLE_REMAPPED_ROWS": double,
            "DEV_ROW_REMAP_FAILURE": (double > SPARE_ROWS).astype(np.float64),
            "DEV_PCIE_REPLAY_COUNTER": self._counters.add("replay", trouble.replays),
        }


def _ratio(values: Floats) -> Floats:
    clipped = np.clip(np.round(values, 6), 0.0, 1.0)
    return np.where(clipped < MIN_RATIO, 0.0, clipped)
