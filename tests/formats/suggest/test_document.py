"""What is suggested for a file: once its questions are answered the file is read, and nothing in it was guessed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from telemetry.formats.suggest.document import document
from telemetry.formats.suggest.table import NoSuggestionError
from telemetry.readings.source_settings import SourceSettings
from telemetry.settings import Settings, SettingsError
from tests.examples import examples
from tests.formats.both import Whole, both
from tests.formats.shapes import FOREIGN

PULSE = "timestamp,gpu_id,model,gpu_util_pct,mem_used_mib,real_util_pct,sm_active_pct,tensor_active_pct,dram_active_pct\n"
LOCAL = "2026-11-05 10:00:00"
# Each with the keys that are asked for, and the GPUs and metrics that are read once they are answered.
SHAPES: dict[str, tuple[str, set[str], set[tuple[str, str]]]] = {
    "names of nvidia-smi": (
        f"timestamp,memory.used,memory.total,utilization.gpu\n{LOCAL},512,81559,92\n",
        {"time_zone", "host", "gpu_index"},
        {("n:0", "DEV_FB_USED"), ("n:0", "DEV_FB_TOTAL"), ("n:0", "DEV_GPU_UTIL")},
    ),
    "units in brackets": (
        f"Timestamp,GPU_Util(%),Memory_Used(MiB),Power(W),Temp(C)\n{LOCAL},92 %,512,301.2,62\n",
        {"time_zone", "host", "gpu_index"},
        {("n:0", f"DEV_{name}") for name in ("GPU_UTIL", "FB_USED", "POWER_USAGE", "GPU_TEMP")},
    ),
    "MB": (
        "timestamp,gpu_util(%),memory_used(MB)\n2026-11-05T10:00:00+01:00,92,512\n",
        {"host", "gpu_index", "memory_used(MB)"},
        {("n:0", "DEV_GPU_UTIL"), ("n:0", "DEV_FB_USED")},
    ),
    "a GPU": (
        "timestamp,gpu,power.draw,power.limit\n1793872800.25, 0, 301.22, 700.00\n",
        {"host"},
        {("n:0", "DEV_POWER_USAGE"), ("n:0", "DEV_POWER_MGMT_LIMIT")},
    ),
    "elapsed": (
        "elapsed_sec,gpu_util_pct,mem_used_mb,temp_c,power_w\n0.0,92,512,62,301\n0.5,93,512,62,302\n",
        {"host", "gpu_index", "time", "mem_used_mb"},
        {("n:0", f"DEV_{name}") for name in ("GPU_UTIL", "FB_USED", "GPU_TEMP", "POWER_USAGE")},
    ),
    "date apart": (
        "Date,Time,Temperature,Power Used\n25-11-2026,10:00:00,62,301\n",
        {"time_zone", "host", "gpu_index"},
        {("n:0", "DEV_GPU_TEMP"), ("n:0", "DEV_POWER_USAGE")},
    ),
    "a date of two readings": (
        "Date,Time,Temperature\n05-11-2026,10:00:00,62\n",
        {"time_zone", "host", "gpu_index", "time"},
        {("n:0", "DEV_GPU_TEMP")},
    ),
    "nanoseconds": (
        "timestamp,power_draw_W\n1793872800123456789,301.2\n",
        {"host", "gpu_index"},
        {("n:0", "DEV_POWER_USAGE")},
    ),
    "KempnerPulse": (
        PULSE + "1793872800.12,0,H100,92,512,80.5,75.2,40.1,\n",
        {"host"},
        {("n:0", f"DEV_{name}") for name in ("GPU_UTIL", "FB_USED")}
        | {("n:0", f"PROF_{name}") for name in ("SM_ACTIVE", "PIPE_TENSOR_ACTIVE")}
        | {("n:0", "KEMPNERPULSE_REAL_UTIL_PCT")},
    ),
    "dmon as CSV": (
        "#Date, Time, gpu, pwr\n#YYYYMMDD, HH:MM:SS, Idx, W\n 20261105, 10:00:00, 0, 301\n",
        {"time_zone", "host"},
        {("n:0", "DEV_POWER_USAGE")},
    ),
    "dmon as a table, without a date": (
        "#Time        gpu    pwr\n#HH:MM:SS     Idx      W\n 10:00:00     0      301\n",
        {"time_zone", "host", "date"},
        {("n:0", "DEV_POWER_USAGE")},
    ),
    "a column a GPU": (
        "time,machineId,gpu0_util,gpu1_util\n2026-11-05T10:00:00Z,m1,92,93\n",
        set(),
        {("m1:0", "DEV_GPU_UTIL"), ("m1:1", "DEV_GPU_UTIL")},
    ),
    "a column a GPU, of what is not said": (
        f"timestamp,GPU0,GPU1\n{LOCAL},92,93\n",
        {"time_zone", "host", "GPU{index}"},
        {("n:0", "DEV_GPU_UTIL"), ("n:1", "DEV_GPU_UTIL")},
    ),
    "semicolons": (
        "Zeit;GPU;job;power_w;gpu_util\n25.11.2026 10:00:00;0;77;301,25;92\n",
        {"time_zone", "host"},
        {("n:0", "DEV_POWER_USAGE"), ("n:0", "DEV_GPU_UTIL")},
    ),
    "thousands": (
        'time,gpu_uuid,mem_used_mib\n1793872800,GPU-ab,"1,234"\n',
        {"thousands"},
        {("GPU-ab", "DEV_FB_USED")},
    ),
    "tabs below a comment": (
        "# by cron\ntime\tuuid\tclocks.sm\n1793872800000\tGPU-ab\t1980\n1793872801000\tGPU-ab\t1980\n",
        set(),
        {("GPU-ab", "DEV_SM_CLOCK")},
    ),
    "a data frame": (
        ",timestamp,gpu,power.draw\n0,1793836800.5,0,301\n1,1793836801.5,0,302\n",
        {"host"},
        {("n:0", "DEV_POWER_USAGE")},
    ),
    "nvidia-smi": (
        "timestamp, index, power.draw [W]\n2026/11/05 10:00:00.123, 0, 301.22 W\n",
        {"time_zone", "host"},
        {("n:0", "DEV_POWER_USAGE")},
    ),
    "fields of DCGM": (
        "GPUId,TimeStampUs,Field,Values\n0,1793836800000000,power_usage_instant,301.2\n",
        {"host"},
        {("n:0", "DEV_POWER_USAGE_INSTANT")},
    ),
    "Grafana": (
        'Time,"DCGM_FI_DEV_GPU_TEMP{gpu=""0""}"\n2026-11-05 10:00:00,62\n',
        {"time_zone", "host"},
        {("n:0", "DEV_GPU_TEMP")},
    ),
}  # fmt: skip
ANSWERS = {
    "time_zone": '"Area/City"=>"Europe/Berlin"',
    "host": '""=>"n"',
    "time": '"YYYY-MM-DDThh:mm:ssZ"=>2026-11-05T10:00:00Z',
    "GPU{index}": '""=>"DCGM_FI_DEV_GPU_UTIL"',
}
COMMENTED = re.compile(r'# "?([^"=]+?)"? = (.*)')


def answered(text: str) -> tuple[str, set[str]]:
    """A suggestion of which each question is answered, by the first of its lines; and the keys that were asked for."""
    lines, keys = [], set[str]()
    for line in text.splitlines():
        asked = COMMENTED.fullmatch(line)
        if asked and asked[1] not in keys | {"decimal"}:
            keys.add(asked[1])
            was, _, now = ANSWERS.get(asked[1], "=>").partition("=>")
            lines.append(line[2:].replace(was, now) if was else line[2:])
        else:
            lines.append(line)
    return "\n".join(lines), keys


def settings_of(folder: Path, text: str, file: Path) -> SourceSettings:
    """What a suggestion says of a file."""
    (folder / "sources.toml").write_text(text)
    return Settings.load({"TELEMETRY_SOURCE_SETTINGS": str(folder / "sources.toml")}).of_source(str(file))


def read(folder: Path, content: str) -> tuple[Whole, set[str]]:
    """What a file says by what is suggested for it, and which keys were asked for."""
    file = folder / "log [1].csv"
    file.write_text(content)
    text, keys = answered(document(file.read_bytes(), str(file)).text)
    return both(file, settings_of(folder, text, file)), keys


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_suggested_reads_the_file_once_its_questions_are_answered(tmp_path: Path, name: str) -> None:
    content, asked, said = SHAPES[name]
    whole, keys = read(tmp_path, content)
    assert keys == asked
    assert {(each.gpu, each.metric.removeprefix("DCGM_FI_")) for each in whole.readings} == said, whole.miss
    assert whole.quarantined == []


@pytest.mark.parametrize("name", ["names of nvidia-smi", "elapsed", "a column a GPU, of what is not said"])
def test_an_open_question_keeps_the_file_unread(tmp_path: Path, name: str) -> None:
    content, _, _ = SHAPES[name]
    file = tmp_path / "a.csv"
    file.write_text(content)
    made = document(file.read_bytes(), str(file))
    assert made.questions
    with pytest.raises(SettingsError):
        settings_of(tmp_path, made.text, file)
    # Nor do its lines say anything before they are filled in.
    with pytest.raises(SettingsError):
        settings_of(tmp_path, "\n".join(line[2:] if COMMENTED.fullmatch(line) else line for line in made.lines), file)


def test_a_field_that_was_asked_for_twice_does_not_keep_nvidia_smi_from_being_known() -> None:
    made = document(b"timestamp, uuid, power.draw [W], power.draw [W]\n2026/11/05 10:00:00, GPU-1, 1 W, 1 W\n", "/a.csv")
    assert made.questions == ["In which zone was its clock? Its times do not say it"]


def test_units_that_a_name_does_not_say_are_asked_for(tmp_path: Path) -> None:
    content = "time,uuid,temp,foo,memory_util,energy\n1793872800,GPU-1,62,1,3,5\n"
    made = document(content.encode(), str(tmp_path / "a.csv"))
    assert '"temp" = "DCGM_FI_DEV_GPU_TEMP"  # Is temp in °C?' in made.lines
    assert 'ignore = ["foo", "energy"]' in made.lines
    assert '# "memory_util" = "DCGM_FI_DEV_MEM_COPY_UTIL [%]"' in made.lines
    assert [question for question in made.questions if "foo" in question]


CELL = st.sampled_from(
    [
        *(
            "time",
            "timestamp",
            "Date",
            "gpu",
            "gpu0",
            "uuid",
            "util",
            "power_w",
            "mem (MB)",
            "temp",
            "host",
            "t",
            "",
            "x{index}",
            "Ω",
        ),
        *(
            "2026-11-05 10:00:00",
            "2026-11-05T10:00:00Z",
            "1793872800",
            "05-11-2026",
            "10:00",
            "0",
            "1,5",
            "1,234",
            "92 %",
            "n/a",
        ),
        *('"', "\\", "{", "[", "*", "a\nb", "\0", "temp\n", "mem_used\r\n(MB)", "\x7f", "power\x1b", "gpu\n0", "job id"),
    ]
)


@hypothesis(max_examples=examples(300), deadline=None)
@given(st.lists(st.lists(CELL, min_size=1, max_size=6), max_size=5), st.sampled_from([",", ";", "\t"]), st.booleans())
def test_whatever_the_file_a_suggestion_is_toml_and_guesses_no_zone(rows: list[list[str]], mark: str, quoted: bool) -> None:
    lines = [mark.join('"' + cell.replace('"', '""') + '"' if quoted else cell for cell in row) for row in rows]
    try:
        made = document("\n".join(lines).encode(), "/logs/[a]*.csv")
    except NoSuggestionError:
        return
    told = tomllib.loads(made.text).get("source", [{}])[0]
    assert not {"time_zone", "host", "gpu_index"} & told.keys()
    assert "since" not in told.get("time", {})


def test_a_file_that_needs_nothing_is_said_to_need_nothing() -> None:
    made = document(b"timestamp,metric_name,uuid,value\n2026-11-05T00:00:00Z,M,G,1\n", "/a.csv")
    assert made.text == "# It is of the format dcgm, and says all by itself: it needs no settings.\n"
    assert made.questions == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("time,gpu,power\n10:00:00,0,301\n", "times of day, and nothing says the day"),
        (FOREIGN["rocm-smi"], "it has no column with a time"),
        (FOREIGN["nvidia-smi without a header"], "its first line has no names of columns: say them with header"),
        *(
            (FOREIGN[name], f"each of its records is of the metric that its column {column!r} names")
            for name, column in (
                ("names of Prometheus", "__name__"),
                ("epoch seconds, names of its own", "name"),
                ("semicolons", "metric_name"),
            )
        ),
        ("gpu,time,field,value\n0,1793872800,power,301.2\n", "of the metric that its column 'field' names"),
        (FOREIGN["codecarbon"], "its records are of whole runs, as codecarbon sums them up (column 'emissions')"),
        (
            "time, gpu_uuid, pid, used_memory\n2026/11/05 10:00:00, GPU-1, 7, 512 MiB\n",
            "its records are of processes",
        ),
        ("2026/11/05 10:00:00.123, 0, NVIDIA H200, 0, 0\n", "its first line has no names of columns"),
        ("a,time,a\n1,2,3\n", "two of its columns are called 'a'"),
        ("time,util\n", "it has no records under its first line yet"),
        ("time,util\n1793872800,1,2\n", "no line under its first has 2 fields, as many as that has names"),
        ("hello\n", "it is no table of records: no format knows its first line as a header: 'hello'"),
        (b"BZh9\x00", "it is packed with bzip2"),
        ("time,gpu\n1793872800,0\n", "it has no column that is measured"),
    ],
)
def test_where_nothing_can_be_suggested_it_says_why(content: str | bytes, says: str) -> None:
    with pytest.raises(NoSuggestionError) as raised:
        document(content if isinstance(content, bytes) else content.encode(), "/a.csv")
    assert says in str(raised.value)
