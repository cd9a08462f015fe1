"""What xpu-smi of version 2 writes that is asked for fields: those of Intel's GPUs by the names of DCGM, in UTC.

The header and the cells are those that ial/cmn/cmd_dump.cpp and ial/cmn/metrics of intel/xpumanager make.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from telemetry.readings.source_settings import NO_SETTINGS, SourceSettings
from telemetry.readings.xpu_smi import SAME
from tests.examples import examples
from tests.formats import reading
from tests.formats.reading import NODE, Said, foreign, written

UUID = "00000000-0000-0003-0000-0000e2118086"
HEADER = (
    "timestamp, index, uuid, name, utilization.gpu (%), memory.used (MiB), power.draw (W), pcie.replay.counter, eu.active (%)"
)
ROW = f"2026/11/05 10:00:00.123, 3, {UUID}, Intel(R) Arc(TM) Pro B60 Graphics, 92.00, 25073.00, 301.22, 0, 12.5"
AT_US = 1_793_872_800_123_000


def read(path: Path, said: SourceSettings = NODE) -> tuple[list[Said], list[tuple[int, str]], int]:
    """As `reading.read`, of this format."""
    return reading.read(path, "xpu-smi-query", said)


def test_fields_are_metrics_of_dcgm_or_of_their_own(tmp_path: Path) -> None:
    lost = ROW.replace("92.00", "N/A").replace("00.123", "01.123")
    readings, quarantined, blank = read(written(tmp_path / "a.csv", HEADER, ROW, HEADER, lost))
    assert (quarantined, blank) == ([], 1)
    assert [each for each in readings if each.ts_us == AT_US] == [
        Said(UUID, "DCGM_FI_DEV_GPU_UTIL", AT_US, 92.0),
        Said(UUID, "DCGM_FI_DEV_FB_USED", AT_US, 25073.0),
        Said(UUID, "DCGM_FI_DEV_POWER_USAGE", AT_US, 301.22),
        Said(UUID, "DCGM_FI_DEV_PCIE_REPLAY_COUNTER", AT_US, 0.0),
        Said(UUID, "XPU_SMI_EU_ACTIVE", AT_US, 12.5),
    ]


def test_its_dump_has_the_same_names_behind_a_time(tmp_path: Path) -> None:
    fields = [f"{name} ({same.unit})" if same.unit else name for name, same in SAME.items()]
    header = ", ".join(["Timestamp", "DeviceId", *fields])
    row = ", ".join(["10:00:00.123", "3", *(str(n) for n in range(len(fields)))])
    stamp = "2026-11-05T10:00:00.123+0000, "
    readings, quarantined, _ = reading.read(written(tmp_path / "a.csv", stamp + header, stamp + row), "xpu-smi")
    assert quarantined == []
    assert readings == [Said("node:3", same.metric, AT_US, float(n)) for n, same in enumerate(SAME.values())]


def test_the_gpu_is_named_by_the_settings_where_the_file_does_not(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "timestamp, power.draw (W)", "2026/11/05 10:00:00.123, 301.22")
    said = SourceSettings(time_zone="UTC", host="n", gpu_index=2)
    assert read(path, said)[0] == [Said("n:2", "DCGM_FI_DEV_POWER_USAGE", AT_US, 301.22)]


@pytest.mark.parametrize(
    ("header", "said", "lacks"),
    [
        (HEADER, NO_SETTINGS, "it is of xpu-smi-query, and its times carry no zone: time_zone; say so"),
        (HEADER.replace("uuid", "serial"), SourceSettings(time_zone="UTC"), "it does not name its host: host; say so"),
        (HEADER.replace("power.draw (W)", "power.draw (mW)"), NODE, "no format knows"),
        (HEADER.replace("timestamp", "time"), NODE, "no format knows"),
        (HEADER.replace("power.draw (W)", "power.draw [W]"), NODE, "no format knows"),
    ],
)
def test_what_it_does_not_say_is_not_guessed(tmp_path: Path, header: str, said: SourceSettings, lacks: str) -> None:
    assert lacks in foreign(written(tmp_path / "a.csv", header, ROW), said)


NAME = st.sampled_from(["index", "uuid", "pci.bus_id", "power.draw (W)", "eu.idle (%)", "new", "fan.speed (%)", "fan.speed"])
CELL = st.sampled_from(["0", "92.00", "92 %", "N/A", "", "Enabled", "Unavailable", "1e400", " 7 ", "é", "0x1", "[N/A]", '"7"'])
STAMP = st.sampled_from(["2026/11/05 10:00:00.123", "2026/11/05 10:00:01", "10:00:00.123", "1999/11/05 10:00:00", ""])


@hypothesis(max_examples=examples(200), deadline=None)
@given(st.lists(NAME, max_size=4), st.data(), st.sampled_from([NODE, SourceSettings("UTC", "n", 2), NO_SETTINGS]))
def test_streamer_and_verify_agree(more: list[str], data: st.DataObject, said: SourceSettings) -> None:
    names = ["timestamp", "utilization.gpu (%)", *more]
    lines = [", ".join(names)]
    for _ in range(data.draw(st.integers(1, 5))):
        cells = [data.draw(STAMP), *(data.draw(CELL) for _ in names[1:])]
        lines.append(", ".join(data.draw(st.sampled_from([cells, cells, cells[1:], names]))))
    note(repr(lines))
    with TemporaryDirectory() as folder:
        reading.read(written(Path(folder, "a.csv"), *lines), "", said)
