"""What the fields of `nvidia-smi --query-gpu` are called here: the names of DCGM where a field is the same thing.

Source of the fields: `nvidia-smi --help-query-gpu` of driver 580, and the headers that it prints. A field that is not the same
as one of DCGM's is a metric of its own: `NVIDIA_SMI_` and its name. Texts that are no measurement are no metric.
"""

from __future__ import annotations

import re

from telemetry.readings.smi_fields import SmiField, SmiVocabulary

SAME = {
    "utilization.gpu": SmiField("DCGM_FI_DEV_GPU_UTIL", "%"),
    "utilization.memory": SmiField("DCGM_FI_DEV_MEM_COPY_UTIL", "%"),
    "utilization.encoder": SmiField("DCGM_FI_DEV_ENC_UTIL", "%"),
    "utilization.decoder": SmiField("DCGM_FI_DEV_DEC_UTIL", "%"),
    "memory.total": SmiField("DCGM_FI_DEV_FB_TOTAL", "MiB"),
    "memory.free": SmiField("DCGM_FI_DEV_FB_FREE", "MiB"),
    "memory.used": SmiField("DCGM_FI_DEV_FB_USED", "MiB"),
    "memory.reserved": SmiField("DCGM_FI_DEV_FB_RESERVED", "MiB"),
    "temperature.gpu": SmiField("DCGM_FI_DEV_GPU_TEMP", ""),
    "temperature.memory": SmiField("DCGM_FI_DEV_MEMORY_TEMP", ""),
    "power.draw": SmiField("DCGM_FI_DEV_POWER_USAGE", "W"),
    "power.draw.instant": SmiField("DCGM_FI_DEV_POWER_USAGE_INSTANT", "W"),
    "power.limit": SmiField("DCGM_FI_DEV_POWER_MGMT_LIMIT", "W"),
    "enforced.power.limit": SmiField("DCGM_FI_DEV_ENFORCED_POWER_LIMIT", "W"),
    "clocks.current.sm": SmiField("DCGM_FI_DEV_SM_CLOCK", "MHz"),
    "clocks.current.memory": SmiField("DCGM_FI_DEV_MEM_CLOCK", "MHz"),
    "clocks.current.video": SmiField("DCGM_FI_DEV_VIDEO_CLOCK", "MHz"),
    "fan.speed": SmiField("DCGM_FI_DEV_FAN_SPEED", "%"),
    "pstate": SmiField("DCGM_FI_DEV_PSTATE", ""),
    "pcie.link.gen.current": SmiField("DCGM_FI_DEV_PCIE_LINK_GEN", ""),
    "pcie.link.width.current": SmiField("DCGM_FI_DEV_PCIE_LINK_WIDTH", ""),
    "clocks_event_reasons.active": SmiField("DCGM_FI_DEV_CLOCKS_EVENT_REASONS", ""),
    "ecc.errors.corrected.volatile.total": SmiField("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", ""),
    "ecc.errors.uncorrected.volatile.total": SmiField("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", ""),
    "ecc.errors.corrected.aggregate.total": SmiField("DCGM_FI_DEV_ECC_SBE_AGG_TOTAL", ""),
    "ecc.errors.uncorrected.aggregate.total": SmiField("DCGM_FI_DEV_ECC_DBE_AGG_TOTAL", ""),
    "retired_pages.single_bit_ecc.count": SmiField("DCGM_FI_DEV_RETIRED_SBE", ""),
    "retired_pages.double_bit.count": SmiField("DCGM_FI_DEV_RETIRED_DBE", ""),
    "retired_pages.pending": SmiField("DCGM_FI_DEV_RETIRED_PENDING", ""),
    "remapped_rows.correctable": SmiField("DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS", ""),
    "remapped_rows.uncorrectable": SmiField("DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", ""),
    "remapped_rows.failure": SmiField("DCGM_FI_DEV_ROW_REMAP_FAILURE", ""),
    "remapped_rows.pending": SmiField("DCGM_FI_DEV_ROW_REMAP_PENDING", ""),
}
# Names as they are asked for, or as older drivers print them, beside the names that are printed.
RENAMED = {
    "clocks.sm": "clocks.current.sm",
    "clocks.mem": "clocks.current.memory",
    "clocks.gr": "clocks.current.graphics",
    "clocks.video": "clocks.current.video",
    "clocks.current.mem": "clocks.current.memory",
    "gpu_uuid": "uuid",
    "gpu_name": "name",
    "gpu_bus_id": "pci.bus_id",
}
# They name the GPU, or the moment.
NAMES = frozenset({"timestamp", "uuid", "index", "pci.bus_id", "name", "driver_version"})
TEXTS = re.compile(
    r"count|serial|vbios_version|hostname|pci\..*|inforom\..*|platform\..*|fabric\..*|compute_cap|compute_mode|addressing_mode"
    r"|driver_model\..*|gom\..*|gpu_recovery_action|display_mode|vgpu_.*"
)
# Of `--query-compute-apps`, which is about processes: its fields, which of them must be there, and as they may be asked for.
OF_PROCESS = frozenset({"pid", "used_gpu_memory"})
APPS = frozenset({"timestamp", "name", "pci.bus_id", "gpu_serial", "uuid", "process_name", *OF_PROCESS})
ASKED_OF_PROCESS = {"used_memory": "used_gpu_memory"}
PROCESS_MEMORY = "NVIDIA_SMI_PROCESS_MEMORY_USED"


def canonical(field: str) -> str:
    """The name under which a field is printed today."""
    now = field.replace("clocks_throttle_reasons.", "clocks_event_reasons.", 1)
    return RENAMED.get(now, now)


def of_process(field: str) -> str:
    """The name of a field of `--query-compute-apps`, in the words of `--query-gpu` where both have it."""
    return canonical(ASKED_OF_PROCESS.get(field, field))


def metric(field: str) -> str | None:
    """The metric of a field by its canonical name; None for one that is no measurement."""
    if field in SAME:
        return SAME[field].metric
    if field in NAMES or TEXTS.fullmatch(field):
        return None
    return "NVIDIA_SMI_" + re.sub(r"[^A-Z0-9]", "_", field.upper())


VOCABULARY = SmiVocabulary(SAME, canonical, metric)
