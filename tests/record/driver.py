"""A library with NVML's functions for tests, without a driver."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


class Driver:
    """NVML with some GPUs: functions that are `unsupported`, GPUs that are `lost`, a driver that is `away`."""

    class NVMLError(Exception):
        """As NVML's."""

    class NVMLError_NotSupported(NVMLError):  # noqa: N801, N818 - the library's own name
        """As NVML's."""

    class NVMLError_GpuIsLost(NVMLError):  # noqa: N801, N818 - the library's own name
        """As NVML's."""

    nvmlMemory_v2 = 0x2000028  # noqa: N815 - the library's own name

    def __init__(self, gpus: int = 2) -> None:
        self.gpus = gpus
        self.unsupported: set[str] = set()
        self.lost: set[int] = set()
        self.away = False
        self.opened = 0

    def __getattr__(self, name: str) -> Any:
        answers: dict[str, Any] = {
            "SystemGetDriverVersion": "550.54",
            "DeviceGetCount": self.gpus,
            "DeviceGetUUID": lambda index: f"GPU-{index}",
            "DeviceGetMinorNumber": lambda index: index,
            "DeviceGetName": "NVIDIA H200",
            "DeviceGetUtilizationRates": SimpleNamespace(gpu=97, memory=12),
            "DeviceGetMemoryInfo": SimpleNamespace(total=150754820096, used=644939776, free=149000000000, reserved=1109880320),
            "DeviceGetTemperature": 33,
            "DeviceGetFieldValues": [SimpleNamespace(nvmlReturn=0, value=SimpleNamespace(uiVal=41))],
            "DeviceGetPowerUsage": 105187,
            "DeviceGetTotalEnergyConsumption": 2371533,
            "DeviceGetEncoderUtilization": (3, 167),
            "DeviceGetDecoderUtilization": (0, 167),
            "DeviceGetRemappedRows": (1, 0, 1, 0),
            "DeviceGetPerformanceState": 32,
        }
        short = name.removeprefix("nvml")
        answer = answers.get(short, 5)

        def call(*args: Any, **_: Any) -> Any:
            if short in self.unsupported:
                raise self.NVMLError_NotSupported("Not Supported")
            if self.away:
                raise self.NVMLError("Driver Not Loaded")
            if args and args[0] in self.lost:
                raise self.NVMLError_GpuIsLost("GPU is lost")
            return answer(*args) if callable(answer) else answer

        return call

    def nvmlInit(self) -> None:  # noqa: N802 - the library's own name
        """Open it."""
        if self.away:
            raise self.NVMLError("Driver Not Loaded")
        self.opened += 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802 - the library's own name
        """The index itself."""
        return index
