"""What hl-smi writes: the fields of Gaudi by the names of DCGM, and times as `date` writes them.

The header is the one that it prints; the form of its times is the one that PerfSpect of Intel reads.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from telemetry.readings.source_settings import NO_SETTINGS, SourceSettings
from tests.examples import examples
from tests.formats import reading
from tests.formats.reading import Said, foreign, written

UUID = "01P4-HL3090A0-18-U4V193-22-07-00"
HEADER = "timestamp, index, uuid, name, temperature.aip [C], utilization.aip [%], memory.used [MiB], "
HEADER += "power.draw [W], ecc.mode.current"
ROW = f"{{}}, 0, {UUID}, HL-325L, 36 C, 7 %, 672 MiB, 226 W, Enabled"
AT_US = 1_793_872_800_000_000


def read(path: Path, said: SourceSettings = NO_SETTINGS) -> tuple[list[Said], list[tuple[int, str]], int]:
    """As `reading.read`, of this format."""
    return reading.read(path, "hl-smi", said)


def test_fields_are_metrics_of_dcgm_or_of_their_own(tmp_path: Path) -> None:
    readings, quarantined, _ = read(written(tmp_path / "a.csv", HEADER, ROW.format("Thu Nov  5 10:00:00 UTC 2026")))
    assert quarantined == []
    assert readings == [
        Said(UUID, "DCGM_FI_DEV_GPU_TEMP", AT_US, 36.0),
        Said(UUID, "DCGM_FI_DEV_GPU_UTIL", AT_US, 7.0),
        Said(UUID, "DCGM_FI_DEV_FB_USED", AT_US, 672.0),
        Said(UUID, "DCGM_FI_DEV_POWER_USAGE", AT_US, 226.0),
        Said(UUID, "HL_SMI_ECC_MODE_CURRENT", AT_US, 1.0),
    ]


@pytest.mark.parametrize(
    ("stamp", "zone", "said"),
    [
        ("Sun Oct 25 02:30:00 CEST 2026", "Europe/Berlin", "2026-10-25T00:30:00+00:00"),
        ("Sun Oct 25 02:30:00 CET 2026", "Europe/Berlin", "2026-10-25T01:30:00+00:00"),
        ("Thu Nov 05 10:00:00 GMT 2026", "", "2026-11-05T10:00:00+00:00"),
        ("Thu Nov 05 10:00:00 CET 2026", "", "bad_timestamp"),
        ("Thu Nov 05 10:00:00 CEST 2026", "Europe/Berlin", "bad_timestamp"),
        ("Sun Mar 29 02:30:00 CET 2026", "Europe/Berlin", "bad_timestamp"),
        ("Thu Nov 31 10:00:00 UTC 2026", "", "bad_timestamp"),
        ("2026/11/05 10:00:00.123", "", "bad_timestamp"),
        ("2026-11-05T11:00:00+01:00", "", "2026-11-05T10:00:00+00:00"),
    ],
)
def test_the_name_of_a_zone_must_be_the_one_that_its_clock_has_then(tmp_path: Path, stamp: str, zone: str, said: str) -> None:
    readings, quarantined, _ = read(written(tmp_path / "a.csv", HEADER, ROW.format(stamp)), SourceSettings(time_zone=zone))
    times = {datetime.fromtimestamp(each.ts_us / 1e6, UTC).isoformat() for each in readings}
    assert (times, [reason for _, reason in quarantined]) == ((set(), [said]) if said == "bad_timestamp" else ({said}, []))


def test_what_it_does_not_say_is_not_guessed(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "timestamp, utilization.aip [%]", "Thu Nov  5 10:00:00 UTC 2026, 7 %")
    assert "it is of hl-smi, and it does not name its host: host, it does not name its GPU: gpu_index" in foreign(
        path, NO_SETTINGS
    )
    assert read(path, SourceSettings(host="n", gpu_index=2))[0] == [Said("n:2", "DCGM_FI_DEV_GPU_UTIL", AT_US, 7.0)]


@pytest.mark.parametrize("zone", ["", "UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York"])
@hypothesis(max_examples=examples(100), deadline=None)
@given(st.datetimes(datetime(2005, 1, 1), datetime(2026, 12, 1)), st.sampled_from(["%Z", "UTC", "CET", "EST", ""]))  # noqa: DTZ001
def test_streamer_and_verify_agree(zone: str, wall: datetime, name: str) -> None:
    there = wall.replace(tzinfo=ZoneInfo(zone or "UTC"), microsecond=0)
    stamp = there.strftime(f"%a %b %e %H:%M:%S {name} %Y")
    note(stamp)
    with TemporaryDirectory() as folder:
        readings, _, _ = read(written(Path(folder, "a.csv"), HEADER, ROW.format(stamp)), SourceSettings(time_zone=zone))
    if zone and name == "%Z" and readings:
        assert datetime.fromtimestamp(readings[0].ts_us / 1e6, ZoneInfo(zone)).replace(tzinfo=None) == there.replace(
            tzinfo=None
        )
