"""Reads the GPUs of this machine from NVIDIA's driver, by NVML (package nvidia-ml-py), under DCGM's names and units.

What a GPU or its driver does not have is left out. A GPU that is lost is left out with a warning, and the others are read.
MIG instances are not read. NVML has no record of XIDs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

from telemetry.record.taken import Gpu, SourceError, Taken

log = logging.getLogger(__name__)

MIB = 1 << 20
# NVML's own numbers: NVML_FI_DEV_MEMORY_TEMP of nvml.h, and of its enumerations the members that are used.
MEMORY_TEMP_FIELD = 82
SM, MEMORY, VIDEO = 1, 2, 3
UNKNOWN_PSTATE = 32
CORRECTED, UNCORRECTED, VOLATILE, AGGREGATE = 0, 1, 0, 1

# By what is asked of the library: the values that the answer gives, by DCGM's names.
Ask = Callable[[Any, Any], dict[str, float]]
ASKED: tuple[Ask, ...] = (
    lambda nvml, gpu: _named(nvml.nvmlDeviceGetUtilizationRates(gpu), GPU_UTIL="gpu", MEM_COPY_UTIL="memory"),
    lambda nvml, gpu: _memory(nvml.nvmlDeviceGetMemoryInfo(gpu, version=nvml.nvmlMemory_v2)),
    lambda nvml, gpu: {"GPU_TEMP": nvml.nvmlDeviceGetTemperature(gpu, 0)},
    lambda nvml, gpu: _field(nvml.nvmlDeviceGetFieldValues(gpu, [MEMORY_TEMP_FIELD])[0], "MEMORY_TEMP"),
    lambda nvml, gpu: {"POWER_USAGE": nvml.nvmlDeviceGetPowerUsage(gpu) / 1000},
    lambda nvml, gpu: {"ENFORCED_POWER_LIMIT": nvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1000},
    lambda nvml, gpu: {"TOTAL_ENERGY_CONSUMPTION": nvml.nvmlDeviceGetTotalEnergyConsumption(gpu)},
    lambda nvml, gpu: {"SM_CLOCK": nvml.nvmlDeviceGetClockInfo(gpu, SM)},
    lambda nvml, gpu: {"MEM_CLOCK": nvml.nvmlDeviceGetClockInfo(gpu, MEMORY)},
    lambda nvml, gpu: {"VIDEO_CLOCK": nvml.nvmlDeviceGetClockInfo(gpu, VIDEO)},
    lambda nvml, gpu: _pstate(nvml.nvmlDeviceGetPerformanceState(gpu)),
    lambda nvml, gpu: {"FAN_SPEED": nvml.nvmlDeviceGetFanSpeed(gpu)},
    lambda nvml, gpu: {"ENC_UTIL": nvml.nvmlDeviceGetEncoderUtilization(gpu)[0]},
    lambda nvml, gpu: {"DEC_UTIL": nvml.nvmlDeviceGetDecoderUtilization(gpu)[0]},
    lambda nvml, gpu: {"PCIE_REPLAY_COUNTER": nvml.nvmlDeviceGetPcieReplayCounter(gpu)},
    lambda nvml, gpu: {"CLOCK_THROTTLE_REASONS": nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu)},
    lambda nvml, gpu: {"ECC_SBE_VOL_TOTAL": nvml.nvmlDeviceGetTotalEccErrors(gpu, CORRECTED, VOLATILE)},
    lambda nvml, gpu: {"ECC_DBE_VOL_TOTAL": nvml.nvmlDeviceGetTotalEccErrors(gpu, UNCORRECTED, VOLATILE)},
    lambda nvml, gpu: {"ECC_SBE_AGG_TOTAL": nvml.nvmlDeviceGetTotalEccErrors(gpu, CORRECTED, AGGREGATE)},
    lambda nvml, gpu: {"ECC_DBE_AGG_TOTAL": nvml.nvmlDeviceGetTotalEccErrors(gpu, UNCORRECTED, AGGREGATE)},
    lambda nvml, gpu: _remapped(nvml.nvmlDeviceGetRemappedRows(gpu)),
)


class Nvml:
    """The driver of this machine, by a library with NVML's functions. `host` is the machine's name."""

    may_be_empty = False

    def __init__(self, library: Any, host: str) -> None:
        self.library = library
        self.host = host
        self._is_open = False
        # By GPU: what was said of it.
        self._said: dict[int, str] = {}

    def take(self) -> list[Taken]:
        """All readings of now. Raises SourceError if the driver does not answer; it is opened anew at the next call."""
        try:
            if not self._is_open:
                self.library.nvmlInit()
                self._is_open = True
            driver = str(self.library.nvmlSystemGetDriverVersion())
            count = self.library.nvmlDeviceGetCount()
        except self.library.NVMLError as error:
            self.close()
            raise SourceError(
                f"the driver does not answer: {error}; nvidia-smi should show the GPUs of this machine"
            ) from error
        return [reading for index in range(count) for reading in self._of(index, driver)]

    def close(self) -> None:
        """Let go of the driver: one that was loaded anew needs that."""
        if self._is_open:
            self._is_open = False
            try:
                self.library.nvmlShutdown()
            except self.library.NVMLError as error:
                log.debug("%s", error)

    def _of(self, index: int, driver: str) -> Iterator[Taken]:
        nvml = self.library
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            uuid, model = str(nvml.nvmlDeviceGetUUID(handle)), str(nvml.nvmlDeviceGetName(handle))
        except nvml.NVMLError as error:
            self._say(index, str(error))
            return
        gpu = Gpu(uuid, str(index), self._device(handle), model, self.host, {"DCGM_FI_DRIVER_VERSION": driver})
        for ask in ASKED:
            try:
                values = ask(nvml, handle)
            except nvml.NVMLError_GpuIsLost as error:
                self._say(index, str(error))
                return
            except nvml.NVMLError as error:
                log.debug("GPU %d: %s", index, error)
                continue
            for name, value in values.items():
                yield Taken(f"DCGM_FI_DEV_{name}", gpu, float(value))
        self._said.pop(index, None)

    def _device(self, handle: Any) -> str:
        try:
            return f"nvidia{self.library.nvmlDeviceGetMinorNumber(handle)}"
        except self.library.NVMLError:
            return ""

    def _say(self, index: int, trouble: str) -> None:
        if self._said.get(index) != trouble:
            self._said[index] = trouble
            log.warning("GPU %d is left out: %s", index, trouble)


def _named(answer: Any, **attributes: str) -> dict[str, float]:
    return {name: getattr(answer, attribute) for name, attribute in attributes.items()}


def _memory(answer: Any) -> dict[str, float]:
    """DCGM rounds to whole MiB; here the fraction stays."""
    sizes = {"FB_TOTAL": answer.total, "FB_USED": answer.used, "FB_FREE": answer.free, "FB_RESERVED": answer.reserved}
    return {name: size_bytes / MIB for name, size_bytes in sizes.items()}


def _pstate(answer: int) -> dict[str, float]:
    return {} if answer == UNKNOWN_PSTATE else {"PSTATE": answer}


def _field(answer: Any, name: str) -> dict[str, float]:
    return {name: answer.value.uiVal} if answer.nvmlReturn == 0 else {}


def _remapped(answer: tuple[int, int, int, int]) -> dict[str, float]:
    names = ("CORRECTABLE_REMAPPED_ROWS", "UNCORRECTABLE_REMAPPED_ROWS", "ROW_REMAP_PENDING", "ROW_REMAP_FAILURE")
    return dict(zip(names, answer, strict=True))
