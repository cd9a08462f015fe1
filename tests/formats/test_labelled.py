"""Wide files whose header names series, as Grafana's download does."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from telemetry.readings.source_settings import NO_SETTINGS, SourceSettings
from tests.examples import examples
from tests.formats.both import Said, both

UTC = SourceSettings(time_zone="UTC")
TEMP, UTIL = "DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_GPU_UTIL"
TEMP_0 = '"DCGM_FI_DEV_GPU_TEMP{gpu=""0"",Hostname=""n1""}"'
UTIL_1 = '"{__name__=""DCGM_FI_DEV_GPU_UTIL"", Hostname=""n1"", gpu=""1"", job=""dcgm""}"'
START_US = 1_793_872_800_000_000  # 2026-11-05T10:00:00Z


def written(folder: Path, *lines: str) -> Path:
    """A file of these lines."""
    path = folder / "a.csv"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_each_cell_is_a_reading_of_its_series(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "sep=,",
        f'"Time",{TEMP_0},{UTIL_1}',
        "2026-11-05 10:00:00,62,92 %",
        "2026-11-05 10:00:00.5,62.5 °C,",
        "1793872801000,[N/A],9223372036854775794",
        "1793872802,62 %,NaN",
        "yesterday,1,2",
    )
    whole = both(path, UTC)
    assert whole.readings == [
        Said("n1:0", TEMP, START_US, 62.0),
        Said("n1:1", UTIL, START_US, 92.0),
        Said("n1:0", TEMP, START_US + 500_000, 62.5),
    ]
    assert [reason for _, reason in whole.quarantined] == ["bad_value", "bad_timestamp"]
    assert (whole.format, whole.blank) == ("labelled", 4)
    assert [key.labels for key in whole.series] == [{}, {"job": "dcgm"}]


@pytest.mark.parametrize(
    ("columns", "said", "gpu"),
    [
        ('"M{UUID=""GPU-1""}"', UTC, "GPU-1"),
        ('"M {gpu=""3""}"', SourceSettings("UTC", "node"), "node:3"),
        ('"M{a=""b""}"', SourceSettings("UTC", "node", 7), "node:7"),
        ('"M{gpu=""3"",Hostname=""n1""}"', SourceSettings("UTC", "node", 7), "n1:3"),
        ('"M{gpu=""3"",Hostname=""unknown""}"', SourceSettings("UTC", "node"), "node:3"),
    ],
)
def test_labels_name_the_gpu_before_the_settings_do(tmp_path: Path, columns: str, said: SourceSettings, gpu: str) -> None:
    whole = both(written(tmp_path, f"Time,{columns}", "2026-11-05 10:00:00,1"), said)
    assert whole.readings == [Said(gpu, "M", START_US, 1.0)]


@pytest.mark.parametrize(
    ("header", "said", "says"),
    [
        (f"Time,{TEMP_0}", NO_SETTINGS, "its times may carry no zone: time_zone"),
        ('Time,"M{gpu=""0""}"', UTC, "names no GPU by UUID, or Hostname and gpu: host, gpu_index"),
        ('Time,"{gpu=""0""}"', UTC, "names no metric: let the legend have it"),
        ('Time,"M{gpu=0}"', UTC, "the labels of 'M{gpu=0}' cannot be read"),
        (f"Time,{TEMP_0},{TEMP_0}", UTC, "one of its series stands there twice"),
        (f"Time,{TEMP_0},GPU 1", UTC, "`telemetry formats suggest FILE` says how to read it"),
        (f"When,{TEMP_0}", UTC, "`telemetry formats suggest FILE` says how to read it"),
    ],
)
def test_what_it_does_not_say_is_not_guessed(tmp_path: Path, header: str, said: SourceSettings, says: str) -> None:
    whole = both(written(tmp_path, header, "2026-11-05 10:00:00,1"), said)
    assert (whole.format, whole.readings) == ("unknown", [])
    assert says in whole.miss


NAMES = st.sampled_from(
    [
        *('M{gpu="0",Hostname="n1"}', 'DCGM_FI_DEV_GPU_UTIL {UUID="GPU-1", pod="p"}', '{__name__="M",gpu="1",Hostname="n"}'),
        *(
            'DCGM_FI_DEV_XID_ERRORS{gpu="0"}',
            'DCGM_FI_DEV_POWER_USAGE{UUID="GPU-1",exported_pod="q",pod="p"}',
            "M",
            "{}",
            "M{a}",
        ),
        *(
            'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{UUID="GPU-2"}',
            'M{gpu="0",Hostname="N/A"}',
            '1M{gpu="0"}',
            'M{x="{y}",gpu="1"}',
        ),
    ]
)
CELL = st.sampled_from(
    ["0", "92", "92 %", "301 W", "62 °C", "", "N/A", "nan", "x", "1e3", "2147483632", "140737488355328", "9223372036854775807"]
)
TIME = st.sampled_from(
    [
        *("2026-11-05 10:00:00", "2026/11/05 10:00:00.5", "2026-11-05T10:00:00+01:00", "1793872800", "1793872800.5", "", "x"),
        *("1793872800123", "1793872800123.9", "179387280012345678", "2026-10-25 02:30:00", "2026-03-29 02:30:00", "0"),
    ]
)


@st.composite
def files(draw: st.DrawFn) -> str:
    """A file of the format, nearly."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4))
    quoted = [f'"{name}"'.replace('"', '""')[1:-1] for name in names]
    header = ",".join([draw(st.sampled_from(["Time", "timestamp", '"Time"', "when"])), *quoted])
    lines = [header]
    for _ in range(draw(st.integers(1, 5))):
        lines.append(",".join([draw(TIME), *(draw(CELL) for _ in range(len(names) - draw(st.integers(0, 9)) // 9))]))
        if draw(st.integers(0, 5)) == 5:
            lines.append(header)
    return "\n".join(lines) + draw(st.sampled_from(["\n", ""]))


@hypothesis(max_examples=examples(300), deadline=None)
@given(files(), st.sampled_from([UTC, SourceSettings("Europe/Berlin", "node"), SourceSettings("UTC", "node", 0)]))
def test_streamer_and_verify_agree(text: str, said: SourceSettings) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.csv")
        path.write_text(text)
        both(path, said)
