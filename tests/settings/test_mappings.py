"""Mappings in the file about sources: what is written is what is meant, and each mistake names its line and its mend."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from telemetry.readings.mapping import ColumnMapping, Measured
from telemetry.settings import Settings, SettingsError

BEGINNING = "[[source]]\npath = '*'\nhost = 'node'\n"
METRICS = "[source.metrics]\nutil = 'DCGM_FI_DEV_GPU_UTIL'\n"
TIME = "time = { column = 't', form = 'epoch_s' }\n"
NOON_US = int(datetime(2026, 11, 5, 12, tzinfo=UTC).timestamp()) * 1_000_000


def load(path: Path, text: str) -> Settings:
    """The settings with a file of this text."""
    file = path / "sources.toml"
    file.write_text(text)
    return Settings.load({"TELEMETRY_SOURCE_SETTINGS": str(file)})


def test_a_mapping_is_what_it_says(tmp_path: Path) -> None:
    text = f"""{BEGINNING}
time_zone = "Europe/Berlin"
gpu_model = "NVIDIA H200"
time = {{ column = ["Date", "Time"], form = "%d-%m-%Y %H:%M:%S" }}
gpu = {{ uuid = "gpu uuid", host = "node" }}
label_columns = {{ job = "job_id" }}
delimiter = ";"
decimal = ","
thousands = "."
none = ["-1"]
ignore = ["status", "note*"]
[source.metrics]
"Power(mW)" = "DCGM_FI_DEV_POWER_USAGE [mW]"
"Temp" = "DCGM_FI_DEV_GPU_TEMP [C]"
"x" = "SCRIPT_STEP"
"cpu" = "SCRIPT_CPU_FAN [rpm]"
"""
    said = load(tmp_path, text).of_source("/a.csv")
    assert said.delimiter == ";"
    assert said.mapping == ColumnMapping(
        time=("Date", "Time"),
        form="%d-%m-%Y %H:%M:%S",
        metrics=(
            Measured("Power(mW)", "DCGM_FI_DEV_POWER_USAGE", "mW"),
            Measured("Temp", "DCGM_FI_DEV_GPU_TEMP", "°C"),
            Measured("cpu", "SCRIPT_CPU_FAN", "rpm"),
            Measured("x", "SCRIPT_STEP", ""),
        ),
        gpu=(("host", "node"), ("uuid", "gpu uuid")),
        model="NVIDIA H200",
        labels=(("job", "job_id"),),
        delimiter=";",
        decimal=",",
        thousands=".",
        none=("-1",),
        ignore=("note*", "status"),
    )


@pytest.mark.parametrize(
    ("since", "us"),
    [
        ("since = 2026-11-05T12:00:00Z", NOON_US),
        ("since = '2026-11-05T13:00:00+01:00'", NOON_US),
        ("since = 2026-11-05T13:00:00", NOON_US),
        (r"since_from_path = 'run-([\dT_-]+)'", NOON_US),
        (r"since_from_path = 'job-(\d+)'", None),
        (r"since_from_path = 'run-(\d+)'", None),
    ],
)
def test_an_elapsed_time_begins_where_it_is_said(tmp_path: Path, since: str, us: int | None) -> None:
    text = f"{BEGINNING}time_zone = 'Europe/Berlin'\ntime = {{ column = 't', form = 'elapsed_s', {since} }}\n{METRICS}"
    said = load(tmp_path, text).of_source("/logs/run-2026-11-05_130000.csv")
    assert said.mapping is not None
    assert said.mapping.since_us == us


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("time = 't'\n", 4, 'time must be a table such as { column = "timestamp", form = "epoch_s" }'),
        (f"{TIME}", 1, "a mapping needs a table metrics"),
        (METRICS, 4, "metrics belongs to a mapping, which lacks time"),
        ("ignore = ['a']\n", 4, "ignore belongs to a mapping, which lacks time"),
        ("time = { column = 't', form = 'epoch' }\n", 4, "form must be one of rfc3339, local, epoch_s"),
        ("time = { column = 't', form = '%Y-%m' }\n", 4, "form must have year, month, day and hour once each"),
        ("time = { column = 't', form = '%Y-%m-%d %Q' }\n", 4, "form has %Q; what may stand there is %Y"),
        ("time = { column = 't', form = '%Y-%m-%d %I:%M' }\n", 4, "form must have %p with %I"),
        ("time = { column = 't', form = 'local' }\n", 4, "carry no zone: say it with time_zone"),
        ("time = { column = 't', form = '%Y-%m-%d %H' }\n", 4, "carry no zone: say it with time_zone"),
        ("time = { column = 't', form = 'elapsed_s' }\n", 4, "since, or since_from_path, says when an elapsed time began"),
        ("time = { column = 't', form = 'epoch_s', since = 2026-01-01T00:00:00Z }\n", 4, "other forms have none"),
        ("time = { column = 't', form = 'elapsed_s', since = 'noon' }\n", 4, "since must be a time with its zone"),
        (
            "time_zone = 'Europe/Berlin'\ntime = { column = 't', form = 'elapsed_s', since = 2026-10-25T02:30:00 }\n",
            5,
            "one that comes once in time_zone",
        ),
        ("time = { column = 't', form = 'elapsed_s', since_from_path = 'a' }\n", 4, "with one group"),
        ("time = { column = 't', form = 'elapsed_s', since_from_path = '(a)' }\n", 4, "since_from_path needs time_zone"),
        ("time = { column = 't', form = 'epoch_s', zone = 'UTC' }\n", 4, "time has an unknown key 'zone'"),
        (f"{TIME}gpu = {{ id = 'g' }}\n", 5, "gpu has an unknown key 'id'; the keys are index, uuid, pci, host, model"),
        (f"{TIME}gpu = {{ index = 0 }}\n", 5, "gpu must be a table of texts, the names of columns"),
        (f"{TIME}gpu = {{ index = 'g' }}\ngpu_index = 0\n", 6, "gpu_index holds for all records: keep one of them"),
        (f"{TIME}gpu = {{ uuid = 'g' }}\ngpu_uuid = 'GPU-1'\n", 6, "gpu_uuid holds for all records: keep one of them"),
        (f"{TIME}delimiter = '|'\n", 5, "delimiter must be one of ',', ';', '\\t'"),
        (f"{TIME}decimal = ','\nthousands = ','\n", 6, "thousands must be another"),
        (f"{TIME}none = '-1'\n", 5, 'none must be a list of texts, such as ["a", "b"]'),
        (f"{TIME}metrics = {{ memory.used = 'DCGM_FI_DEV_FB_USED' }}\n", 5, 'memory.used must stand in quotes: "memory.used"'),
        (f"{TIME}[source.metrics]\nu = 'DCGM_FI_DEV_GPU_UTL'\n", 6, "did you mean DCGM_FI_DEV_GPU_UTIL?"),
        (f"{TIME}[source.metrics]\nu = 'DCGM_FI_DEV_GPU_UTIL [W]'\n", 6, "[W] does not become the unit"),
        (f"{TIME}[source.metrics]\nu = 'DCGM_FI_DEV_XID_ERRORS [%]'\n", 6, "it has none: leave the brackets out"),
        (f"{TIME}{METRICS}t = 'TIME'\n", 7, "the column 't' is in metrics and in time, gpu or label_columns: keep one"),
        (f"{TIME}ignore = ['util']\n{METRICS}", 7, "the column 'util' is in metrics and in ignore: keep one"),
        (f"{TIME}{METRICS}gpu_index = 0\n", 7, "The other keys of a source stand above its metrics"),
        (f"{TIME}[source.metrics]\nu = 'power draw'\n", 6, "must be the name of a metric"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, BEGINNING + text + ("" if "metrics" in text or "ignore" in text or text == TIME else METRICS))
    assert f"{tmp_path / 'sources.toml'}, line {line}, source 1: " in str(raised.value)
    assert says in str(raised.value)


def test_the_line_is_that_of_the_right_source(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"line 9, source 2: gpu_index must be a whole number"):
        load(tmp_path, f"{BEGINNING}gpu_index = 0\n\n{BEGINNING.replace('*', '**')}gpu_index = -1\n# gpu_index\n")
