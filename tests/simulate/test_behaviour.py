from __future__ import annotations

import numpy as np
import pytest

from telemetry.readings.catalogue import KNOWN
from telemetry.simulate.behaviour import METRICS, Behaviour, FleetReading, Floats
from telemetry.simulate.fleet import build

START = 1_752_871_354
INTERVAL = 10
FLEET = build(8, 8, seed=0)


def over(seconds: Floats) -> FleetReading:
    return Behaviour(FLEET, 0, START * 10**6, INTERVAL * 10**6).over(seconds)


@pytest.fixture(scope="module")
def hours() -> FleetReading:
    return over(START + np.arange(0, 4 * 3600.0, INTERVAL))


def column(reading: FleetReading, field: str) -> Floats:
    return reading.values[:, METRICS.index(f"DCGM_FI_{field}")]


def test_the_catalogue_knows_every_metric() -> None:
    assert len(set(METRICS)) == len(METRICS) >= 18
    assert set(METRICS) <= set(KNOWN)


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [
        ("DEV_GPU_UTIL", 0, 100),
        ("DEV_MEM_COPY_UTIL", 0, 100),
        ("DEV_GPU_TEMP", 20, 100),
        ("DEV_MEMORY_TEMP", 20, 100),
        ("DEV_POWER_USAGE", 10, 700),
        ("DEV_SM_CLOCK", 200, 2600),
        ("DEV_FB_USED", 0, 81_200),
        ("DEV_FB_FREE", 0, 81_200),
        ("PROF_GR_ENGINE_ACTIVE", 0, 1),
        ("PROF_PIPE_TENSOR_ACTIVE", 0, 1),
    ],
)
def test_values_lie_where_a_gpus_do(hours: FleetReading, field: str, low: float, high: float) -> None:
    values = column(hours, field)
    assert low <= values.min() < values.max() <= high


def test_framebuffer_adds_up(hours: FleetReading) -> None:
    total = column(hours, "DEV_FB_USED") + column(hours, "DEV_FB_FREE")
    assert (total == [host.model.fb_mib for host in FLEET for _ in host.gpus]).all()


def test_power_and_temperature_follow_the_work(hours: FleetReading) -> None:
    busy = column(hours, "DEV_GPU_UTIL") > 90
    idle = column(hours, "DEV_GPU_UTIL") == 0
    assert column(hours, "DEV_POWER_USAGE")[busy].mean() > 3 * column(hours, "DEV_POWER_USAGE")[idle].mean()
    assert column(hours, "DEV_GPU_TEMP")[busy].mean() > column(hours, "DEV_GPU_TEMP")[idle].mean() + 15


def test_heat_slows_the_clocks(hours: FleetReading) -> None:
    throttled = (column(hours, "DEV_CLOCK_THROTTLE_REASONS").astype(int) & 0x20) > 0
    assert throttled.any()
    assert column(hours, "DEV_GPU_TEMP")[throttled].min() >= 86
    assert (np.diff(column(hours, "DEV_THERMAL_VIOLATION"), axis=0)[throttled[1:]] > 0).all()


@pytest.mark.parametrize("metric", [name for name in METRICS if KNOWN[name].kind == "counter"])
def test_counters_never_count_backwards(hours: FleetReading, metric: str) -> None:
    values = hours.values[:, METRICS.index(metric)]
    assert (np.diff(values, axis=0) >= 0).all()
    assert values.max() < 2**53


def test_energy_is_the_power_drawn(hours: FleetReading) -> None:
    gained = np.diff(column(hours, "DEV_TOTAL_ENERGY_CONSUMPTION"), axis=0)
    drawn = column(hours, "DEV_POWER_USAGE")[:-1] * INTERVAL * 1000
    np.testing.assert_allclose(gained, drawn, atol=2)


def test_energy_goes_on_where_an_earlier_run_ended(hours: FleetReading) -> None:
    later = START + 4 * 3600
    resumed = Behaviour(FLEET, 0, later * 10**6, 10**6).over(np.array([float(later)]))
    assert (column(resumed, "DEV_TOTAL_ENERGY_CONSUMPTION") >= column(hours, "DEV_TOTAL_ENERGY_CONSUMPTION")[-1]).all()


def test_it_does_not_matter_how_many_times_are_asked_for_at_once() -> None:
    seconds = START + np.arange(0, 300.0, INTERVAL)
    fleet = Behaviour(FLEET, 0, START * 10**6, INTERVAL * 10**6)
    pieces = [fleet.over(piece) for piece in (seconds[:1], seconds[1:8], seconds[8:])]
    whole = over(seconds)
    assert np.array_equal(np.concatenate([piece.values for piece in pieces]), whole.values)
    assert np.array_equal(np.concatenate([piece.silent for piece in pieces]), whole.silent)
