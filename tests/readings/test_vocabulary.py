"""What columns are commonly called: the metric, its unit, and a question where a name may mean several things."""

from __future__ import annotations

import pytest

from telemetry.readings.catalogue import KNOWN
from telemetry.readings.vocabulary import WORDS, meaning


@pytest.mark.parametrize(
    ("column", "metric", "unit", "asks"),
    [
        ("utilization.gpu", "DEV_GPU_UTIL", "%", ""),
        ("clocks.sm", "DEV_SM_CLOCK", "MHz", ""),
        ("clocks_throttle_reasons.active", "DEV_CLOCKS_EVENT_REASONS", "", ""),
        ("DCGM_FI_DEV_GPU_TEMP", "DEV_GPU_TEMP", "°C", ""),
        ("GPU_Util(%)", "DEV_GPU_UTIL", "%", ""),
        ("gpuUtil [%]", "DEV_GPU_UTIL", "%", ""),
        ("power_mw", "DEV_POWER_USAGE", "mW", ""),
        ("power_draw_W", "DEV_POWER_USAGE", "W", ""),
        ("Temp(C)", "DEV_GPU_TEMP", "°C", ""),
        ("mem_used_bytes", "DEV_FB_USED", "B", ""),
        ("sm_active_pct", "PROF_SM_ACTIVE", "%", ""),
        ("pstate", "DEV_PSTATE", "", ""),
        ("temperature", "DEV_GPU_TEMP", "°C", "Is temperature in °C?"),
        ("gpu_util", "DEV_GPU_UTIL", "%", "Is gpu_util in %?"),
        ("memory_used", "DEV_FB_USED", "", "In which unit is memory_used?"),
        ("memory_used(MB)", "DEV_FB_USED", "", "Is MB in memory_used(MB) 1,048,576 bytes"),
        ("memory_util(%)", "DEV_MEM_COPY_UTIL", "", "and not how full it is?"),
    ],
)
def test_a_name_that_scripts_give_is_known(column: str, metric: str, unit: str, asks: str) -> None:
    word = meaning(column)
    assert word is not None
    assert (word.metric, word.unit) == (f"DCGM_FI_{metric}", unit)
    assert asks in word.question
    assert bool(asks) == bool(word.question)


@pytest.mark.parametrize(
    "column", ["cpu_temp", "total_power_w", "avg_gpu_util", "loss", "power(V)", "energy_j", "pstate_w", ""]
)
def test_others_are_not_guessed(column: str) -> None:
    assert meaning(column) is None


def test_each_word_stands_for_a_metric_that_is_known() -> None:
    assert set(WORDS.values()) <= KNOWN.keys()
