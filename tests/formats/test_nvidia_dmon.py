"""What `nvidia-smi dmon` writes: its values are the driver's, streamer and `verify` agree, and nothing is guessed."""

from __future__ import annotations

import csv
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from telemetry.readings.source_settings import NO_SETTINGS, SourceSettings
from tests.examples import examples
from tests.formats import reading
from tests.formats.reading import NODE, Said, foreign, written

# As the tool prints them: driver 580, -o DT and a selection.
TABLE = "#Date        Time         gpu    pwr  gtemp     sm   mclk     fb  rxpci "
UNITS = "#YYYYMMDD    HH:MM:SS     Idx      W      C      %    MHz     MB   MB/s "
ROW = " 20261105    10:00:0{}       3    301     62     92   3201   1139     22 "
AT_US = 1_793_872_800_000_000


def read(path: Path, said: SourceSettings = NODE) -> tuple[list[Said], list[tuple[int, str]], int]:
    """As `reading.read`, of this format."""
    return reading.read(path, "nvidia-smi-dmon", said)


def as_csv(line: str) -> str:
    """A line of the table as the tool prints it with --format csv."""
    return (" " if line.startswith(" ") else "") + ", ".join(line.split())


@pytest.mark.parametrize(
    ("name", "metrics", "header"),
    [
        ("dmon.txt", 21, ""),
        ("dmon.csv", 21, ""),
        ("dmon-gpm.txt", 15, ""),
    ],
)
def test_a_real_recording_is_read_whole(recorded: Path, name: str, metrics: int, header: str) -> None:
    path = recorded / name
    readings, quarantined, blank = read(path, SourceSettings("UTC", "node", None, header))
    rows = sum(not line.startswith("#") for line in path.read_text().splitlines())
    assert quarantined == []
    assert {each.gpu for each in readings} == {"node:0"}
    assert len(readings) + blank == metrics * rows


BARE = "#gpu, pwr, gtemp, mtemp, sm, mem, enc, dec, jpg, ofa, mclk, pclk, pviol, tviol, fb, bar1, ccpm, sbecc, dbecc, pci, "
BARE += "rxpci, txpci"


@pytest.mark.parametrize(
    ("name", "header", "lacks"),
    [
        ("dmon-bare.csv", BARE, "its rows carry no time; log with one: nvidia-smi dmon -o DT"),
        ("dmon-bare.csv", "", "no format knows its first line"),
    ],
)
def test_a_real_recording_that_cannot_be_read_says_why(recorded: Path, name: str, header: str, lacks: str) -> None:
    assert lacks in foreign(recorded / name, SourceSettings("UTC", "node", None, header))


# The metric, the column of NVML's recording, how many of its unit make one of the metric's, and what the tool rounds.
TRUTH = [
    # Under load no two samples of it are the same.
    ("POWER_USAGE", "power_mw", 1000.0, 3.0),
    ("GPU_TEMP", "temp", 1.0, 0.0),
    ("GPU_UTIL", "gpu", 1.0, 0.0),
    ("MEM_COPY_UTIL", "mem", 1.0, 0.0),
    ("SM_CLOCK", "sm", 1.0, 0.0),
    ("MEM_CLOCK", "memclk", 1.0, 0.0),
    ("FB_USED", "used", 1024.0**2, 1.0),
]
# What the driver keeps for itself, in MiB, which NVML's first version of memory counts as used and dmon does not.
RESERVED_MIB = 615.0


@pytest.mark.parametrize("name", ["dmon.txt", "dmon.csv"])
@pytest.mark.parametrize(("metric", "column", "per", "rounding"), TRUTH)
def test_values_are_those_of_the_driver_in_the_same_second(
    recorded: Path, name: str, metric: str, column: str, per: float, rounding: float
) -> None:
    """Equal within what the tool rounds, to one of what NVML said in that second or half a second about it."""
    with (recorded / "nvml.csv").open() as file:
        truth = [(float(row["t"]), float(row[column]) / per) for row in csv.DictReader(file)]
    readings = [each for each in read(recorded / name)[0] if each.metric == f"DCGM_FI_DEV_{metric}"]
    assert len(readings) > 30
    far = []
    for each in readings:
        second, less = each.ts_us / 1e6, RESERVED_MIB if metric == "FB_USED" else 0.0
        near = [value - less for at, value in truth if second - 0.6 <= at <= second + 1.6]
        if near and not min(near) - rounding <= each.value <= max(near) + rounding:
            far.append((second, each.value, near))
    # While the load changes, the tool's sample and NVML's are not of one moment.
    assert len(far) <= 3, far


@pytest.mark.parametrize("form", [str, as_csv])
def test_columns_are_metrics_of_dcgm_or_of_their_own(tmp_path: Path, form: type[str]) -> None:
    lines = [form(line) for line in (TABLE, UNITS, ROW.format(0), TABLE, UNITS, ROW.format(1).replace("301", "  -"))]
    readings, quarantined, blank = read(written(tmp_path / "a.txt", *lines))
    assert quarantined == []
    assert [(each.metric, each.value) for each in readings if each.ts_us == AT_US] == [
        ("DCGM_FI_DEV_POWER_USAGE", 301.0),
        ("DCGM_FI_DEV_GPU_TEMP", 62.0),
        ("DCGM_FI_DEV_GPU_UTIL", 92.0),
        ("DCGM_FI_DEV_MEM_CLOCK", 3201.0),
        ("DCGM_FI_DEV_FB_USED", 1139.0),
        ("NVIDIA_SMI_DMON_RXPCI", 22.0),
    ]
    assert {each.gpu for each in readings} == {"node:3"}
    assert (len(readings), blank) == (11, 1)


@pytest.mark.parametrize("form", [str, as_csv])
def test_a_share_of_gpm_is_a_ratio_as_dcgm_has_it(tmp_path: Path, form: type[str]) -> None:
    lines = [
        "#Date Time gpu smutil mmaact pcitx",
        "#YYYYMMDD HH:MM:SS Idx GPM:% GPM:% GPM:MiB/s",
        " 20261105 10:00:00 0 92 41 7",
    ]
    readings, _, _ = read(written(tmp_path / "a.txt", *map(form, lines)))
    assert [(each.metric, each.value) for each in readings] == [
        ("DCGM_FI_PROF_SM_ACTIVE", 0.92),
        ("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", 0.41),
        ("NVIDIA_SMI_DMON_PCITX", 7.0),
    ]


@pytest.mark.parametrize("form", [str, as_csv])
def test_behind_a_line_of_other_units_nothing_is_read(tmp_path: Path, form: type[str]) -> None:
    other = UNITS.replace("W", "mW", 1)
    lines = [form(line) for line in (TABLE, UNITS, ROW.format(0), TABLE, other, ROW.format(1), TABLE, UNITS, ROW.format(2))]
    readings, quarantined, _ = read(written(tmp_path / "a.txt", *lines))
    assert sorted({each.ts_us - AT_US for each in readings}) == [0, 2_000_000]
    assert quarantined == [(5, "unknown_format")]
    assert read(written(tmp_path / "b.txt", *(form(line) for line in (TABLE, other, ROW.format(0)))))[0] == []


@pytest.mark.parametrize("form", [str, as_csv])
def test_what_follows_another_selection_is_read_by_it(tmp_path: Path, form: type[str]) -> None:
    other = ("#Date Time gpu sm", "#YYYYMMDD HH:MM:SS Idx %", " 20261105 10:00:07 3 41")
    lines = [form(line) for line in (TABLE, UNITS, ROW.format(0), *other, TABLE, UNITS, ROW.format(1))]
    readings, quarantined, _ = read(written(tmp_path / "a.txt", *lines))
    assert quarantined == []
    assert [each.value for each in readings if each.ts_us == AT_US + 7_000_000] == [41.0]
    assert len(readings) == 13


def test_a_torn_line_and_a_comment_are_turned_away_alone(tmp_path: Path) -> None:
    lines = (
        TABLE,
        UNITS,
        ROW.format(0),
        " 20261105    10:00",
        "# by cron",
        ROW.format(1),
        ROW.format("x"),
        ROW.format(2) + "1",
    )
    readings, quarantined, _ = read(written(tmp_path / "a.txt", *lines))
    assert {each.ts_us - AT_US for each in readings} == {0, 1_000_000}
    assert quarantined == [(4, "bad_columns"), (5, "bad_columns"), (7, "bad_timestamp"), (8, "bad_columns")]


def test_a_log_without_a_header_is_read_by_the_one_that_the_operator_gives(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", as_csv(ROW.format(0)), as_csv(ROW.format(1)))
    said = SourceSettings("UTC", "node", None, as_csv(TABLE))
    assert len(read(path, said)[0]) == 12
    assert "no format knows" in foreign(path, NODE)


@pytest.mark.parametrize(
    ("header", "said", "lacks"),
    [
        (TABLE, NO_SETTINGS, "its times carry no zone: time_zone, it does not name its host: host; say so in the file"),
        (TABLE, SourceSettings(time_zone="UTC"), "it does not name its host: host"),
        ("# gpu    pwr  gtemp     sm ", NODE, "its rows carry no time; log with one: nvidia-smi dmon -o DT"),
        ("#Time         gpu    pwr ", NODE, "its times carry no date"),
        ("# gpu         pid   type     sm", NODE, "it is of nvidia-smi pmon, and its rows carry no time"),
    ],
)
@pytest.mark.parametrize("form", [str, as_csv])
def test_what_it_does_not_say_is_not_guessed(
    tmp_path: Path, header: str, said: SourceSettings, lacks: str, form: type[str]
) -> None:
    assert lacks in foreign(written(tmp_path / "a.txt", form(header), form(UNITS), form(ROW.format(0))), said)


WORD = st.sampled_from(["0", "92", "-", "301.5", "N/A", "x", "0x1", '"7"', "1,2", "é"])
NAME = st.sampled_from(["pwr", "sm", "fb", "mmaact", "new", "gtemp", "dbecc"])


@st.composite
def logs(draw: st.DrawFn) -> str:
    """A file of the format, nearly."""
    names = ["pclk", *draw(st.lists(NAME, max_size=4, unique=draw(st.integers(0, 9)) > 0))]
    between = draw(st.sampled_from(["  ", ", ", ","]))
    units = {"pclk": "MHz", "pwr": "W", "sm": "%", "fb": "MB", "mmaact": "GPM:%", "new": "m", "gtemp": "C", "dbecc": "errs"}
    header = between.join([draw(st.sampled_from(["#Date", "# Date"])), "Time", "gpu", *names])
    second = between.join(["#YYYYMMDD", "HH:MM:SS", "Idx", *(units[name] for name in names)])
    lines = [header, second] if draw(st.booleans()) else [header]
    for _ in range(draw(st.integers(1, 6))):
        date = draw(st.sampled_from(["20261105", "20261105", "2026-11-05", "19990101", "20269999", "x"]))
        clock = draw(st.sampled_from(["10:00:00", "10:00:01", "25:00:00", "10:00:00Z", "10:00"]))
        index = draw(st.sampled_from(["0", "3", "-", "x", "1234567890"]))
        cells = [draw(WORD) for _ in draw(st.sampled_from([names, names, names, names[1:]]))]
        row = " " + between.join([date, clock, index, *cells])
        odd = ["# a comment", second.replace("MHz", "GHz"), "# gpu  pid  type", header, second, '"', "   ", ""]
        lines += [row, *draw(st.lists(st.sampled_from(odd), max_size=1))]
    return "\n".join(lines) + draw(st.sampled_from(["\n", ""]))


@hypothesis(max_examples=examples(300), deadline=None)
@given(logs())
def test_streamer_and_verify_agree(text: str) -> None:
    note(repr(text))
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.csv")
        path.write_text(text)
        source = foreign if len(set(names := text.split("\n", maxsplit=1)[0].replace(",", " ").split())) < len(names) else read
        source(path, NODE)
