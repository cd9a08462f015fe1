"""The catalogue of known metrics."""

from __future__ import annotations

import pytest

from telemetry.readings.catalogue import KNOWN, Metric, lookup

REAL_EXPORT = (
    "DCGM_FI_DEV_DEC_UTIL",
    "DCGM_FI_DEV_ENC_UTIL",
    "DCGM_FI_DEV_FB_FREE",
    "DCGM_FI_DEV_FB_USED",
    "DCGM_FI_DEV_GPU_TEMP",
    "DCGM_FI_DEV_GPU_UTIL",
    "DCGM_FI_DEV_MEM_CLOCK",
    "DCGM_FI_DEV_MEM_COPY_UTIL",
    "DCGM_FI_DEV_POWER_USAGE",
    "DCGM_FI_DEV_SM_CLOCK",
)
EXPORTER_DEFAULTS = (
    "DCGM_FI_DEV_MEMORY_TEMP",
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
    "DCGM_FI_DEV_PCIE_REPLAY_COUNTER",
    "DCGM_FI_DEV_XID_ERRORS",
    "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL",
    "DCGM_FI_DEV_VGPU_LICENSE_STATUS",
    "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
    "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS",
    "DCGM_FI_DEV_ROW_REMAP_FAILURE",
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
    "DCGM_FI_PROF_DRAM_ACTIVE",
    "DCGM_FI_PROF_PCIE_TX_BYTES",
    "DCGM_FI_PROF_PCIE_RX_BYTES",
)


@pytest.mark.parametrize("name", [*REAL_EXPORT, *EXPORTER_DEFAULTS])
def test_covers_what_exporters_show(name: str) -> None:
    assert KNOWN[name].name == name
    assert KNOWN[name].description


@pytest.mark.parametrize(
    ("name", "unit", "kind"),
    [
        ("DCGM_FI_DEV_GPU_UTIL", "%", "gauge"),
        ("DCGM_FI_DEV_FB_USED", "MiB", "gauge"),
        ("DCGM_FI_DEV_POWER_USAGE", "W", "gauge"),
        ("DCGM_FI_DEV_GPU_TEMP", "°C", "gauge"),
        ("DCGM_FI_DEV_SM_CLOCK", "MHz", "gauge"),
        ("DCGM_FI_DEV_XID_ERRORS", None, "gauge"),
        ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "mJ", "counter"),
        ("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", None, "counter"),
        ("DCGM_FI_DEV_THERMAL_VIOLATION", "ns", "counter"),
        # Called a counter by the exporter's list, yet DCGM computes a rate.
        ("DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", "MB/s", "gauge"),
        ("DCGM_FI_PROF_PCIE_TX_BYTES", "B/s", "gauge"),
    ],
)
def test_units_and_kinds(name: str, unit: str | None, kind: str) -> None:
    assert (KNOWN[name].unit, KNOWN[name].kind) == (unit, kind)


def test_names_are_unique_and_point_to_themselves() -> None:
    assert all(metric.name == name for name, metric in KNOWN.items())
    assert len({metric.description for metric in KNOWN.values()}) == len(KNOWN)


def test_lookup_takes_an_unknown_metric_for_a_gauge() -> None:
    assert lookup("DCGM_FI_DEV_GPU_TEMP") is KNOWN["DCGM_FI_DEV_GPU_TEMP"]
    assert lookup("amd_gpu_edge_temperature") == Metric("amd_gpu_edge_temperature", None, None, "gauge")
