"""Tools that write no time: rocm-smi, xpu-smi and dcgmi dmon are read where whoever recorded them put one before each line.

The headers are those that rocm-smi 5.7 and xpu-smi 1.2 print, and that dcgmi/DeviceMonitor.cpp of NVIDIA/DCGM makes.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from telemetry.readings.source_settings import NO_SETTINGS
from tests.examples import examples
from tests.formats import reading
from tests.formats.reading import NODE, foreign, written

AT_US = 1_793_872_800_000_000


class Tool(NamedTuple):
    """A tool's lines, and what they say."""

    header: str
    row: str
    said: dict[str, float]
    gpu: str = "node:3"


TOOLS = {
    "rocm-smi": Tool(
        "device,Temperature (Sensor edge) (C),Temperature (Sensor junction) (C),Average Graphics Package Power (W),GPU use (%),"
        "VRAM Total Used Memory (B),Card Series",
        "card3,45.0,61.0,812.0,82%,536870912,AMD Radeon 780M",
        {
            "DCGM_FI_DEV_GPU_TEMP": 45.0,
            "ROCM_SMI_TEMPERATURE_SENSOR_JUNCTION_C": 61.0,
            "DCGM_FI_DEV_POWER_USAGE": 812.0,
            "DCGM_FI_DEV_GPU_UTIL": 82.0,
            "DCGM_FI_DEV_FB_USED": 512.0,
        },
    ),
    "xpu-smi": Tool(
        "Timestamp, DeviceId, GPU Utilization (%), GPU Power (W), GPU Core Temperature (Celsius Degree), "
        "GPU Memory Used (MiB), GPU Energy Consumed (J)",
        "06:14:46.000,    3,  N/A, 301.22, 62.50, 4096.00, 95554.67",
        {
            "DCGM_FI_DEV_POWER_USAGE": 301.22,
            "DCGM_FI_DEV_GPU_TEMP": 62.5,
            "DCGM_FI_DEV_FB_USED": 4096.0,
            "XPU_SMI_GPU_ENERGY_CONSUMED_J": 95554.67,
        },
    ),
    "dcgmi-dmon": Tool(
        "#Entity   GPUTL             POWER             SMACT             NEWFI             ",
        "GPU 3     92                301.220           0.412             N/A               ",
        {"DCGM_FI_DEV_GPU_UTIL": 92.0, "DCGM_FI_DEV_POWER_USAGE": 301.22, "DCGM_FI_PROF_SM_ACTIVE": 0.412},
    ),
}
UNITS = "ID                           W                                                       "


def stamped(*lines: str) -> list[str]:
    """Lines as `ts '%FT%T%z,'` writes them, a second apart."""
    return [f"2026-11-05T11:00:{n:02}+0100, {line}" for n, line in enumerate(lines)]


@pytest.mark.parametrize("name", TOOLS)
def test_it_is_read_with_a_time_before_each_line(tmp_path: Path, name: str) -> None:
    tool = TOOLS[name]
    second = [UNITS] if name == "dcgmi-dmon" else [tool.header]
    lines = stamped(tool.header, *second, tool.row, "", tool.header, *second, tool.row)
    readings, quarantined, _ = reading.read(written(tmp_path / "a.csv", *lines), name)
    assert quarantined == []
    assert {each.metric: each.value for each in readings} == tool.said
    assert {each.gpu for each in readings} == {tool.gpu}
    assert sorted({each.ts_us - AT_US for each in readings}) == [2_000_000, 6_000_000]


@pytest.mark.parametrize("name", TOOLS)
def test_what_follows_another_header_is_read_by_it(tmp_path: Path, name: str) -> None:
    tool, other = TOOLS[name], TOOLS["rocm-smi"]._replace(header="device,GPU use (%)", row="card3,7")
    lines = stamped(tool.header, tool.row, other.header, other.row, tool.header, tool.row)
    readings, quarantined, _ = reading.read(written(tmp_path / "a.csv", *lines), name)
    assert quarantined == []
    assert [each.value for each in readings if each.ts_us == AT_US + 3_000_000] == [7.0]
    assert len(readings) == 2 * len(tool.said) + 1


@pytest.mark.parametrize("name", TOOLS)
def test_without_a_time_or_its_host_it_is_not_read(tmp_path: Path, name: str) -> None:
    tool = TOOLS[name]
    bare = written(tmp_path / "a.csv", tool.header, tool.row)
    assert f"it is of {name.replace('-dmon', ' dmon')}, and its rows carry no time that has a date" in foreign(bare, NODE)
    assert "| ts '%FT%T%z,'" in foreign(bare, NODE)
    assert "it does not name its host: host; say so" in foreign(
        written(tmp_path / "b.csv", *stamped(tool.header, tool.row)), NO_SETTINGS
    )


def test_an_entity_of_which_dcgmi_does_not_say_the_gpu_is_turned_away(tmp_path: Path) -> None:
    tool = TOOLS["dcgmi-dmon"]
    rows = (tool.row.replace("GPU 3  ", entity) for entity in ("GPU-I 3", "SW 3   ", "GPU 3 LINK 1"))
    readings, quarantined, _ = reading.read(written(tmp_path / "a.csv", *stamped(tool.header, *rows)), "dcgmi-dmon")
    assert (readings, quarantined) == ([], [(2, "no_gpu"), (3, "no_gpu"), (4, "bad_columns")])


def test_tiles_of_a_device_are_series_of_their_own(tmp_path: Path) -> None:
    lines = stamped("Timestamp, DeviceId, TileId, GPU Power (W)", "06:14:46.000, 3, 0, 150.5", "06:14:46.000, 3, 1, 151.5")
    readings, _, _ = reading.read(written(tmp_path / "a.csv", *lines), "xpu-smi")
    assert [each.value for each in readings] == [150.5, 151.5]


CELL = st.sampled_from(["0", "92", "N/A", "", "x", "99%", "%", "1e400", "card3", "GPU 3", '"7"', "é", "#Entity", "ID"])
STAMP = st.sampled_from(["2026-11-05T10:00:00Z", "2026-11-05 10:00:01+0100", "10:00", "", "1999-01-01T00:00:00Z"])


@pytest.mark.parametrize("name", TOOLS)
@hypothesis(max_examples=examples(200), deadline=None)
@given(st.data())
def test_streamer_and_verify_agree(name: str, data: st.DataObject) -> None:
    tool = TOOLS[name]
    between = r"  " if name == "dcgmi-dmon" else ","
    lines = [f"2026-11-05T10:00:00Z, {line}" for line in (tool.header, tool.row)]
    cells = tool.row.split(between)
    for _ in range(data.draw(st.integers(1, 6))):
        torn = [data.draw(st.just(cell) | CELL) for cell in cells]
        line = data.draw(st.sampled_from([tool.row, between.join(torn), between.join(torn[1:]), tool.header, UNITS, "", '"']))
        lines.append(data.draw(STAMP) + data.draw(st.sampled_from([", ", ", ", ", ", " "])) + line)
    note(repr(lines))
    with TemporaryDirectory() as folder:
        reading.read(written(Path(folder, "a.csv"), *lines), name)
