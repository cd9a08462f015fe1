from __future__ import annotations

import pytest

from telemetry.simulate.timeline import SECOND, Timeline

START = 1_752_871_354 * SECOND


@pytest.mark.parametrize(
    ("start_us", "interval_us", "written"),
    [
        (START, 10 * SECOND, b"2025-07-18T20:42:34Z"),
        (START, SECOND // 2, b"2025-07-18T20:42:34.000Z"),
        (START + 250_000, 10 * SECOND, b"2025-07-18T20:42:34.250Z"),
        (START, 1_500, b"2025-07-18T20:42:34.000000Z"),
    ],
)
def test_times_have_the_digits_they_need(start_us: int, interval_us: int, written: bytes) -> None:
    timeline = Timeline(start_us, interval_us)
    assert timeline.stamp(start_us) == written


@pytest.mark.parametrize("interval_us", [1000, SECOND // 2, SECOND, 10 * SECOND, 3600 * SECOND])
def test_phases_lie_within_the_interval_on_whole_units(interval_us: int) -> None:
    timeline = Timeline(START, interval_us)
    phases = [timeline.phase_us(f"host-{number}") for number in range(50)]
    assert all(0 <= phase < interval_us and phase % timeline.unit_us == 0 for phase in phases)


def test_hosts_are_spread() -> None:
    timeline = Timeline(START, 10 * SECOND)
    assert len({timeline.phase_us(f"host-{number}") for number in range(50)}) == 4


@pytest.mark.parametrize(("after_us", "steps"), [(-1, 0), (0, 1), (1, 1), (10 * SECOND - 1, 1), (10 * SECOND, 2)])
def test_continuing_begins_with_the_first_step_after_the_last_time(after_us: int, steps: int) -> None:
    timeline = Timeline(START, 10 * SECOND)
    assert timeline.steps_until(START + after_us) == steps
    assert timeline.without(steps).start_us > START + after_us
