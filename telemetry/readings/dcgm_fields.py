"""What the fields of DCGM are called where a tool does not print their identifiers: its tags, and `dcgmi`'s short names.

Source: the table of fields in dcgmlib/src/dcgm_fields.cpp of NVIDIA/DCGM, release 4.6.0. Here stand the fields of `catalogue`.
Values carry the catalogue's units: DCGM prints them so.
"""

from __future__ import annotations

import re

# A line a field: its identifier without DCGM_FI_, its tag, its short name.
_TABLE = """
DEV_SM_CLOCK sm_clock SMCLK
DEV_MEM_CLOCK memory_clock MMCLK
DEV_VIDEO_CLOCK video_clock VICLK
DEV_GPU_TEMP gpu_temp TMPTR
DEV_MEMORY_TEMP memory_temp MMTMP
DEV_SLOWDOWN_TEMP slowdown_temp SDTMP
DEV_SHUTDOWN_TEMP shutdown_temp SHTMP
DEV_POWER_USAGE power_usage POWER
DEV_POWER_USAGE_INSTANT power_usage_instant POWINST
DEV_POWER_MGMT_LIMIT power_management_limit PMLMT
DEV_ENFORCED_POWER_LIMIT enforced_power_limit EPLMT
DEV_FAN_SPEED fan_speed FANSP
DEV_PSTATE pstate PSTAT
DEV_GPU_UTIL gpu_utilization GPUTL
DEV_MEM_COPY_UTIL mem_copy_utilization MCUTL
DEV_ENC_UTIL enc_utilization ECUTL
DEV_DEC_UTIL dec_utilization DCUTL
DEV_FB_TOTAL fb_total FBTTL
DEV_FB_FREE fb_free FBFRE
DEV_FB_USED fb_used FBUSD
DEV_FB_RESERVED fb_resv FBRSV
DEV_FB_USED_PERCENT fb_USDP FBUSP
DEV_BAR1_TOTAL bar1_total B1TTL
DEV_BAR1_USED bar1_used B1USE
DEV_BAR1_FREE bar1_free B1FRE
DEV_XID_ERRORS xid_errors XIDER
DEV_CLOCKS_EVENT_REASONS current_clocks_event_reasons DVCCTR
DEV_PCIE_TX_THROUGHPUT pcie_tx_throughput TXTPT
DEV_PCIE_RX_THROUGHPUT pcie_rx_throughput RXTPT
DEV_PCIE_LINK_GEN pcie_link_gen PCILG
DEV_PCIE_LINK_WIDTH pcie_link_width PCILW
DEV_NVLINK_BANDWIDTH_TOTAL nvlink_throughput_total NBWLT
DEV_VGPU_LICENSE_STATUS vgpu_instance_license_status VLCST
DEV_RETIRED_PENDING retired_pages_pending RPPEN
DEV_ROW_REMAP_FAILURE row_remap_failure RRF
DEV_ROW_REMAP_PENDING row_remap_pending RRP
PROF_GR_ENGINE_ACTIVE gr_engine_active GRACT
PROF_SM_ACTIVE sm_active SMACT
PROF_SM_OCCUPANCY sm_occupancy SMOCC
PROF_PIPE_TENSOR_ACTIVE tensor_active TENSO
PROF_PIPE_FP64_ACTIVE fp64_active FP64A
PROF_PIPE_FP32_ACTIVE fp32_active FP32A
PROF_PIPE_FP16_ACTIVE fp16_active FP16A
PROF_DRAM_ACTIVE dram_active DRAMA
PROF_PCIE_TX_BYTES pcie_tx_bytes PCITX
PROF_PCIE_RX_BYTES pcie_rx_bytes PCIRX
PROF_NVLINK_TX_BYTES nvlink_tx_bytes NVLTX
PROF_NVLINK_RX_BYTES nvlink_rx_bytes NVLRX
DEV_TOTAL_ENERGY_CONSUMPTION total_energy_consumption TOTEC
DEV_PCIE_REPLAY_COUNTER pcie_replay_counter RPCTR
DEV_ECC_SBE_VOL_TOTAL ecc_sbe_volatile_total ESVTL
DEV_ECC_DBE_VOL_TOTAL ecc_dbe_volatile_total EDVTL
DEV_ECC_SBE_AGG_TOTAL ecc_sbe_aggregate_total ESATL
DEV_ECC_DBE_AGG_TOTAL ecc_dbe_aggregate_total EDATL
DEV_RETIRED_SBE retired_pages_sbe RPSBE
DEV_RETIRED_DBE retired_pages_dbe RPDBE
DEV_UNCORRECTABLE_REMAPPED_ROWS uncorrectable_remapped_rows URMPS
DEV_CORRECTABLE_REMAPPED_ROWS correctable_remapped_rows CRMPS
DEV_POWER_VIOLATION power_violation PVIOL
DEV_THERMAL_VIOLATION thermal_violation TVIOL
DEV_SYNC_BOOST_VIOLATION sync_boost_violation SBVIO
DEV_BOARD_LIMIT_VIOLATION board_limit_violation BLVIO
DEV_LOW_UTIL_VIOLATION low_util_violation LUVIO
DEV_RELIABILITY_VIOLATION reliability_violation RVIOL
DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL nvlink_flit_crc_error_count_total NFELT
DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL nvlink_data_crc_error_count_total NDELT
DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL nvlink_replay_error_count_total NRELT
DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL nvlink_recovery_error_count_total NRCLT
"""
_FIELDS = [line.split() for line in _TABLE.split("\n") if line]
BY_TAG = {tag: f"DCGM_FI_{name}" for name, tag, _ in _FIELDS} | {
    # As DCGM 3 called them.
    "current_clock_throttle_reasons": "DCGM_FI_DEV_CLOCKS_EVENT_REASONS",
    "nvlink_bandwidth_total": "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL",
}
BY_SHORT_NAME = {short: f"DCGM_FI_{name}" for name, _, short in _FIELDS}


def of_tag(tag: str) -> str:
    """The metric of a field by its tag; of a tag that nobody listed, a name of its own."""
    return BY_TAG.get(tag) or "DCGM_TAG_" + re.sub(r"[^A-Z0-9]", "_", tag.upper())


def of_short_name(name: str) -> str:
    """The metric of a field by the name in the header of `dcgmi dmon`; of one that nobody listed, a name of its own."""
    return BY_SHORT_NAME.get(name) or "DCGM_DMON_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
