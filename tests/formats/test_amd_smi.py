"""What amd-smi writes while it watches: units are its own, names are DCGM's where they mean the same, nothing is guessed.

The headers are those of `amd-smi metric --csv --watch` and `amd-smi monitor --csv --watch` (amdsmi_cli of ROCm/amdsmi).
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from telemetry.readings.source_settings import NO_SETTINGS, SourceSettings
from telemetry.streamer.batching import Cutter
from telemetry.streamer.source import SourceFile
from tests.examples import examples
from tests.formats import reading
from tests.formats.reading import NODE, Said, foreign, written

METRIC = "timestamp,gpu,gfx_activity,umc_activity,vcn_activity,socket_power,throttle_status,gfx_0_clk,"
METRIC += "edge,hotspot,mem,used_vram"
MONITOR = "timestamp,gpu,xcp,power_usage,hotspot_temperature,memory_temperature,gfx,gfx_clock,mem,mem_clock,"
MONITOR += "vram_used,pcie_replay"
AT_US = 1_793_872_800_000_000


def read(path: Path, said: SourceSettings = NODE, limit: int = 40) -> tuple[list[Said], list[tuple[int, str]], int]:
    """As `reading.read`, of this format."""
    return reading.read(path, "amd-smi", said, limit)


def test_the_columns_of_metric(tmp_path: Path) -> None:
    row = "1793872800,3,92,25,\"['N/A', 7]\",301,ENABLED,1404,N/A,44,24,25073"
    path = written(tmp_path / "a.csv", METRIC, row, "", METRIC, row.replace("800,", "801,", 1), "")
    readings, quarantined, blank = read(path)
    assert [(each.gpu, each.metric, each.value) for each in readings if each.ts_us == AT_US] == [
        ("node:3", "DCGM_FI_DEV_GPU_UTIL", 92.0),
        ("node:3", "DCGM_FI_DEV_MEM_COPY_UTIL", 25.0),
        ("node:3", "AMD_SMI_VCN_ACTIVITY", 7.0),
        ("node:3", "DCGM_FI_DEV_POWER_USAGE", 301.0),
        ("node:3", "AMD_SMI_GFX_0_CLK", 1404.0),
        ("node:3", "AMD_SMI_HOTSPOT", 44.0),
        ("node:3", "DCGM_FI_DEV_MEMORY_TEMP", 24.0),
        ("node:3", "DCGM_FI_DEV_FB_USED", 25073.0),
    ]
    # An edge that is not available, a word and one of two engines, in each row.
    assert (quarantined, blank, len(readings)) == ([], 6, 16)


def test_the_columns_of_monitor(tmp_path: Path) -> None:
    readings, _, _ = read(written(tmp_path / "a.csv", MONITOR, "1793872800.25,3,1,301,44,24,92,1404,25,2000,25073,1"))
    assert [(each.metric, each.value) for each in readings] == [
        ("DCGM_FI_DEV_POWER_USAGE", 301.0),
        ("AMD_SMI_HOTSPOT_TEMPERATURE", 44.0),
        ("DCGM_FI_DEV_MEMORY_TEMP", 24.0),
        ("DCGM_FI_DEV_GPU_UTIL", 92.0),
        ("DCGM_FI_DEV_SM_CLOCK", 1404.0),
        # Beside its clock it is how busy the memory is; beside the other temperatures it is one.
        ("DCGM_FI_DEV_MEM_COPY_UTIL", 25.0),
        ("DCGM_FI_DEV_MEM_CLOCK", 2000.0),
        ("DCGM_FI_DEV_FB_USED", 25073.0),
        ("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", 1.0),
    ]
    assert {each.ts_us for each in readings} == {AT_US + 250_000}


def test_each_engine_of_a_list_is_a_series_of_its_own(tmp_path: Path) -> None:
    lists = ("[5]", "N/A", "\"[1, 'N/A', 3]\"", "7", "[]")
    rows = (f"{1793872800 + n},3,92,25,{cell},301,0,1404,36,44,24,25073" for n, cell in enumerate(lists))
    readings, quarantined, blank = read(written(tmp_path / "a.csv", METRIC, *rows), limit=3)
    vcn = [(each.ts_us - AT_US, each.value) for each in readings if each.metric == "AMD_SMI_VCN_ACTIVITY"]
    assert vcn == [(0, 5.0), (2_000_000, 1.0), (2_000_000, 3.0), (3_000_000, 7.0)]
    # No value at all, no value of an engine, no engine.
    assert (quarantined, blank) == ([], 3)


def test_a_batch_with_a_list_has_no_more_readings_than_it_may(tmp_path: Path) -> None:
    cell = '"[' + ", ".join(map(str, range(16))) + ']"'
    rows = (f"{1793872800 + n},3,92,25,{cell},301,0,1404,36,44,24,25073" for n in range(40))
    path = written(tmp_path / "a.csv", METRIC, *rows)
    with SourceFile.open(path, max_record=reading.READER.max_record, final=True, settings=NODE) as source:  # type: ignore[union-attr]
        cutter = Cutter(source, reading.READER)
        batches = list(cutter.batches(source.head.first, limit=100, room_bytes=1 << 30, now_us=0))
    assert sum(len(batch.readings.values) for batch in batches) == 40 * 25
    assert max(len(batch.readings.values) for batch in batches) <= 100


def test_partitions_of_a_gpu_are_series_of_their_own(tmp_path: Path) -> None:
    rows = (f"1793872800,3,{xcp},{300 + xcp},44,24,92,1404,25,2000,25073,1" for xcp in range(4))
    path = written(tmp_path / "a.csv", MONITOR, *rows)
    readings, _, _ = read(path)
    assert [each.value for each in readings if each.metric == "DCGM_FI_DEV_POWER_USAGE"] == [300.0, 301.0, 302.0, 303.0]


def test_one_that_did_not_watch_is_read_with_a_time_before_each_line(tmp_path: Path) -> None:
    header, row = METRIC.removeprefix("timestamp,"), "3,92,25,[],301,ENABLED,1404,N/A,44,24,25073"
    stamp = "2026-11-05T11:00:0{}+0100, "
    lines = (stamp.format(0) + header, stamp.format(0) + row, stamp.format(1), stamp.format(2) + header, stamp.format(2) + row)
    readings, quarantined, _ = read(written(tmp_path / "a.csv", *lines))
    assert (quarantined, {each.ts_us - AT_US for each in readings}) == ([], {0, 2_000_000})
    assert "log with one: amd-smi metric --csv --watch 1" in foreign(written(tmp_path / "b.csv", header, row), NODE)


@pytest.mark.parametrize(
    ("header", "said", "lacks"),
    [
        (METRIC, NO_SETTINGS, "it is of amd-smi, and it does not name its host: host; say so"),
        ("timestamp,gpu,power_usage,vram_used", NODE, "no format knows"),
        ("timestamp,gfx_activity,socket_power", NODE, "no format knows"),
    ],
)
def test_what_it_does_not_say_is_not_guessed(tmp_path: Path, header: str, said: SourceSettings, lacks: str) -> None:
    assert lacks in foreign(written(tmp_path / "a.csv", header, "1793872800,3,92,25"), said)


NAME = st.sampled_from(["xcp", "gfx_activity", "mem", "hotspot", "mem_clock", "new", "used_vram", "edge"])
CELL = st.sampled_from(["0", "92", "N/A", "", "ENABLED", "1e400", " 7 ", "é", "0x1"])
LIST = st.sampled_from(['"[0, 1]"', "[7]", "[]", '"[1, [2, 3]]"', "\"['N/A', 7, x]\"", "[N/A]"])
TIME = st.sampled_from(["1793872800", "1793872800.1234567", "x", "1", "9" * 13, "9" * 20, "2026-11-05T10:00:00Z", ""])
STAMP = st.sampled_from(["2026-11-05T10:00:00Z", "2026-11-05 10:00:01+0100", "10:00", "timestamp"])


@hypothesis(max_examples=examples(300), deadline=None)
@given(st.data(), st.booleans(), st.lists(NAME, max_size=5, unique=True))
def test_streamer_and_verify_agree(data: st.DataObject, is_stamped: bool, more: list[str]) -> None:
    names = [*data.draw(st.permutations(["gpu", "socket_power", *([] if is_stamped else ["timestamp"]), *more]))]
    lines = [",".join(["2026-11-05T10:00:00Z", *names] if is_stamped else names)]
    for _ in range(data.draw(st.integers(1, 6))):
        cells = [data.draw(TIME if name == "timestamp" else CELL | LIST) for name in names]
        row = ",".join([data.draw(STAMP), *cells] if is_stamped else cells)
        odd = [lines[0], "", "2026-11-05T10:00:09Z, ", row + ",1"] if len(lines) > 1 else [row]
        lines.append(data.draw(st.sampled_from([row, row, row, *odd])))
    note(repr(lines))
    with TemporaryDirectory() as folder:
        read(written(Path(folder, "a.csv"), *lines))
