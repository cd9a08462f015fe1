"""What is taken of the driver, by a library of our own with NVML's functions; and GPUs and drivers that fail."""

from __future__ import annotations

import pytest

from telemetry.record.nvml import Nvml
from telemetry.record.taken import SourceError
from tests.record.driver import Driver


def values(source: Nvml) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for one in source.take():
        found.setdefault(one.gpu.uuid, {})[one.metric.removeprefix("DCGM_FI_DEV_")] = one.value
    return found


def test_values_have_dcgms_names_and_units() -> None:
    source = Nvml(Driver(), "node-1")
    found = values(source)
    assert found.keys() == {"GPU-0", "GPU-1"}
    one = found["GPU-0"]
    assert (one["GPU_UTIL"], one["POWER_USAGE"], one["TOTAL_ENERGY_CONSUMPTION"], one["MEMORY_TEMP"]) == (
        97,
        105.187,
        2371533,
        41,
    )
    assert one["FB_USED"] * (1 << 20) == 644939776
    assert (one["CORRECTABLE_REMAPPED_ROWS"], one["ROW_REMAP_PENDING"], one["ROW_REMAP_FAILURE"]) == (1, 1, 0)
    assert "PSTATE" not in one
    gpu = source.take()[0].gpu
    assert (gpu.index, gpu.device, gpu.host, gpu.labels) == ("0", "nvidia0", "node-1", {"DCGM_FI_DRIVER_VERSION": "550.54"})


def test_what_a_gpu_does_not_have_is_left_out() -> None:
    driver = Driver()
    # A driver of before the second form of this answer, and one that has no minor numbers.
    driver.unsupported = {"DeviceGetFanSpeed", "DeviceGetRemappedRows", "DeviceGetMemoryInfo", "DeviceGetMinorNumber"}
    found = values(Nvml(driver, "h"))["GPU-0"]
    assert "FAN_SPEED" not in found
    assert "ROW_REMAP_PENDING" not in found
    assert "ECC_DBE_VOL_TOTAL" in found


def test_a_gpu_that_is_lost_is_a_gap_and_the_others_are_read(caplog: pytest.LogCaptureFixture) -> None:
    driver = Driver()
    driver.lost = {0}
    source = Nvml(driver, "h")
    for _ in range(3):
        assert values(source).keys() == {"GPU-1"}
    assert caplog.text.count("GPU 0 is left out: GPU is lost") == 1


def test_a_driver_that_goes_is_an_error_and_is_opened_anew() -> None:
    driver = Driver()
    source = Nvml(driver, "h")
    source.take()
    driver.away = True
    for _ in range(2):
        with pytest.raises(SourceError, match="nvidia-smi should show the GPUs"):
            source.take()
    driver.away = False
    assert source.take()
    assert driver.opened == 2
