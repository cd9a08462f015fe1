"""What nvidia-smi writes: every reading is that of the tool, streamer and `verify` agree, and nothing is guessed."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from telemetry.readings.source_settings import NO_SETTINGS, SourceSettings
from tests.examples import examples
from tests.formats import reading
from tests.formats.reading import NODE, Said, foreign, written

UUID = "GPU-0f3c1a52-6b7e-4d18-9a3c-2e5b7d9f1c04"


def read(path: Path, said: SourceSettings = NODE) -> tuple[list[Said], list[tuple[int, str]], int]:
    """As `reading.read`, of this format."""
    return reading.read(path, "nvidia-smi", said)


FIELDS = "timestamp,index,uuid,name,utilization.gpu,utilization.memory,memory.used,memory.total,temperature.gpu,"
FIELDS += "temperature.memory,power.draw,power.limit,clocks.sm,clocks.mem"


@pytest.mark.parametrize(
    ("name", "said", "gpu", "metrics"),
    [
        ("smi-all", NODE, UUID, 152),
        ("smi-documented", NODE, "node:00000000:00:06.0", 9),
        ("smi-file", NODE, "node:0", 1),
        ("smi-mixed", NODE, UUID, 7),
        ("smi-nounits", NODE, "node:0", 4),
        ("smi-noheader-nounits", SourceSettings(time_zone="UTC", header=FIELDS), UUID, 10),
    ],
)
def test_a_real_recording_is_read_whole(recorded: Path, name: str, said: SourceSettings, gpu: str, metrics: int) -> None:
    path = recorded / f"{name}.csv"
    readings, quarantined, blank = read(path, said)
    assert quarantined == []
    assert {reading.gpu for reading in readings} == {gpu}
    assert len(readings) + blank == metrics * (len(path.read_text().splitlines()) - (not said.header))


def test_its_values_are_those_of_the_driver(recorded: Path) -> None:
    """Beside NVML's own, taken at most half a second apart: equal within what the tool rounds and the load moves."""
    with (recorded / "nvml.csv").open() as file:
        truth = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    readings, _, _ = read(recorded / "smi-noheader-nounits.csv", SourceSettings(time_zone="UTC", header=FIELDS))
    factors = {"GPU_UTIL": ("gpu", 1), "GPU_TEMP": ("temp", 1), "POWER_USAGE": ("power_mw", 1000), "SM_CLOCK": ("sm", 1)}
    close = dict.fromkeys(factors, 0)
    of = {name: [r for r in readings if r.metric == f"DCGM_FI_DEV_{name}"] for name in factors}
    for name, (column, factor) in factors.items():
        for each in of[name]:
            near = sorted(truth, key=lambda row: abs(row["t"] * 1e6 - each.ts_us))[:3]
            low, high = (pick(row[column] / factor for row in near) for pick in (min, max))
            close[name] += low - 1 <= each.value <= high + 1
    assert all(close[name] >= 0.8 * len(of[name]) for name in factors), close


def test_cells_are_numbers_masks_states_and_words(tmp_path: Path) -> None:
    names = "timestamp, uuid, pstate, utilization.gpu [%], power.draw [W], clocks_throttle_reasons.active, "
    names += "remapped_rows.failure, ecc.mode.current, clocks_throttle_reasons.active, new.field, name"
    path = written(
        tmp_path / "a.csv",
        names,
        f"2026/11/05 10:00:00.123, {UUID}, P8, 92 %, 301.22 W, 0x0000000000000024, Yes, Enabled, 0x24, text, H200",
        f"2026/11/05 10:00:01.123, {UUID}, P0, [N/A], [Unknown Error], Not Active, No, Disabled, 0, 7, H200",
        names,
        f"2026/11/05 10:00:02.123, {UUID}, P0, 92, 301 mW, 0x1, No, Disabled, 0, 7, H200",
        "2026/11/05 10:00:03.123, [N/A], P0, 92, 301, 0x1, No, Disabled, 0, 7, H200",
    )
    readings, quarantined, blank = read(path)
    assert [(reading.metric, reading.value) for reading in readings if reading.ts_us % 60_000_000 == 123_000] == [
        ("DCGM_FI_DEV_PSTATE", 8.0),
        ("DCGM_FI_DEV_GPU_UTIL", 92.0),
        ("DCGM_FI_DEV_POWER_USAGE", 301.22),
        ("DCGM_FI_DEV_CLOCKS_EVENT_REASONS", 36.0),
        ("DCGM_FI_DEV_ROW_REMAP_FAILURE", 1.0),
        ("NVIDIA_SMI_ECC_MODE_CURRENT", 1.0),
    ]
    assert blank == 3
    assert quarantined == [(5, "bad_value"), (6, "no_gpu")]


ROW = "2026/11/05 10:00:00.123, 3, 92 %"
ASKED = "timestamp, index, utilization.gpu"
BUS = "2026/11/05 10:00:00.123, 00000000:C6:00.0, 92 %"


@pytest.mark.parametrize(
    ("header", "row", "said", "gpu"),
    [
        ("timestamp, index, utilization.gpu [%]", ROW, NODE, "node:3"),
        (ASKED, ROW.removesuffix(" %"), SourceSettings("UTC", "n", None, ASKED), "n:3"),
        ("timestamp, pci.bus_id, utilization.gpu [%]", BUS, NODE, "node:00000000:C6:00.0"),
        ("timestamp, utilization.gpu [%]", "2026/11/05 10:00:00.123, 92 %", SourceSettings("UTC", "n", 7), "n:7"),
        ("timestamp, gpu_uuid, utilization.gpu [%]", f"2026/11/05 10:00:00.123, {UUID}, 92 %", SourceSettings("UTC"), UUID),
    ],
)  # fmt: skip
def test_who_it_is_of(tmp_path: Path, header: str, row: str, said: SourceSettings, gpu: str) -> None:
    readings, _, _ = read(written(tmp_path / "a.csv", header, row), said)
    assert readings == [Said(gpu, "DCGM_FI_DEV_GPU_UTIL", 1_793_872_800_123_000, 92.0)]


@pytest.mark.parametrize(
    ("header", "said", "lacks"),
    [
        ("timestamp, index, utilization.gpu [%]", NO_SETTINGS, "time_zone, it does not name its host: host"),
        ("timestamp, uuid, utilization.gpu [%]", NO_SETTINGS, "its times carry no zone: time_zone"),
        ("timestamp, uuid, utilization.gpu [%],", NO_SETTINGS, "its times carry no zone: time_zone"),
        ("timestamp, utilization.gpu [%]", NODE, "it does not name its GPU: gpu_index"),
        ("timestamp, index, utilization.gpu", NODE, "no format knows"),
        ("index, utilization.gpu [%]", NODE, "no format knows"),
    ],
)
def test_what_it_does_not_say_is_not_guessed(tmp_path: Path, header: str, said: SourceSettings, lacks: str) -> None:
    path = written(tmp_path / "a.csv", header, ROW)
    assert lacks in foreign(path, said)


@pytest.mark.parametrize(
    ("stamp", "said"),
    [
        ("2026/10/25 01:59:59.5", "2026-10-24T23:59:59.5+00:00"),
        ("2026/10/25 02:30:00", "ambiguous_time"),
        ("2026/10/25 03:00:00", "2026-10-25T02:00:00+00:00"),
        ("2026/03/29 02:30:00", "bad_timestamp"),
        ("2026-03-29 03:30:00", "2026-03-29T01:30:00+00:00"),
        ("2026-03-29T03:30:00+05:00", "2026-03-28T22:30:00+00:00"),
        ("2026/02/30 00:00:00", "bad_timestamp"),
    ],
)
def test_an_hour_that_comes_twice_is_not_guessed(tmp_path: Path, stamp: str, said: str) -> None:
    path = written(tmp_path / "a.csv", "timestamp, index, utilization.gpu [%]", f"{stamp}, 3, 92 %")
    readings, quarantined, _ = read(path, SourceSettings("Europe/Berlin", "node"))
    if quarantined:
        assert quarantined == [(2, said)]
    else:
        assert readings[0].ts_us == (datetime.fromisoformat(said) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
            microseconds=1
        )


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"])
@given(st.datetimes(min_value=datetime(2005, 1, 1), max_value=datetime(2026, 12, 1)))  # noqa: DTZ001
@hypothesis(max_examples=examples(60), deadline=None)
def test_times_of_zones_agree(zone: str, wall: datetime) -> None:
    stamp = wall.strftime("%Y/%m/%d %H:%M:%S.%f")
    with TemporaryDirectory() as folder:
        path = written(Path(folder, "a.csv"), "timestamp, index, utilization.gpu [%]", f"{stamp}, 3, 92 %")
        readings, quarantined, _ = read(path, SourceSettings(zone, "node"))
    if readings:
        shown = datetime.fromtimestamp(readings[0].ts_us / 1e6, ZoneInfo(zone)).replace(tzinfo=None)
        assert abs(shown - wall) < timedelta(milliseconds=1)
    else:
        assert quarantined[0][1] in {"ambiguous_time", "bad_timestamp"}


CELL = st.sampled_from(
    [
        *("0", "92", "92 %", "301.22 W", "25073 MiB", "P0", "0x24", "[N/A]", "[Not Supported]", "N/A", "", "Active"),
        *("Not Active", "x", "92%"),
    ]
)
COLUMN = st.sampled_from(
    [
        *("utilization.gpu [%]", "memory.used [MiB]", "power.draw [W]", "pstate", "clocks.sm [MHz]", "temperature.gpu"),
        *("clocks_event_reasons.active", "clocks_throttle_reasons.active", "serial", "new.thing", "fan.speed [%]", "name"),
    ]
)


@st.composite
def logs(draw: st.DrawFn) -> str:
    """A file of the format, nearly."""
    columns = [
        "timestamp",
        draw(st.sampled_from(["uuid", "index"])),
        "utilization.gpu [%]",
        *draw(st.lists(COLUMN, max_size=5)),
    ]
    lines = [", ".join(columns)]
    for _ in range(draw(st.integers(1, 6))):
        stamp = draw(st.sampled_from(["2026/11/05 10:00:00.123", "2026/11/05 10:00:01", "10:00", "1999/01/01 00:00:00"]))
        gpu = draw(st.sampled_from([UUID, "3", "[N/A]", "", "[Unknown Error]"]))
        cells = [draw(CELL) for _ in columns[2:]]
        lines.append(draw(st.sampled_from([", ", ","])).join([stamp, gpu, *cells]))
        if draw(st.integers(0, 4)) == 4:
            lines.append(lines[0])
    return "\n".join(lines) + draw(st.sampled_from(["\n", ""]))


@hypothesis(max_examples=examples(300), deadline=None)
@given(logs())
def test_streamer_and_verify_agree(text: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.csv")
        path.write_text(text)
        read(path)
