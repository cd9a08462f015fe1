"""Wide files by a mapping: what a file says survives the way to readings, both readers agree, and nothing is guessed."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from telemetry.formats.mapped import Mapped
from telemetry.readings.mapping import ColumnMapping, Measured
from telemetry.readings.source_settings import SourceSettings
from telemetry.readings.units import SPELLINGS, conversion
from telemetry.settings import Settings
from telemetry.streamer.batching import Cutter
from telemetry.streamer.source import SourceFile
from tests.formats.both import READER, Said, both

START_US = 1_793_872_800_000_000  # 2026-11-05T10:00:00Z
UTIL, POWER, USED = "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_FB_USED"


def mapped(*metrics: Measured, time: str = "t", form: str = "epoch_s", **said: Any) -> SourceSettings:
    """The settings of a source of one GPU with a mapping."""
    mapping = ColumnMapping((time,), form, tuple(sorted(metrics)), **said)
    return SourceSettings("UTC" if mapping.needs_zone else "", "node", 0, mapping=mapping)


ONE = mapped(Measured("util", UTIL, "%"), Measured("power", POWER, "W"))


def written(folder: Path, text: str) -> Path:
    """A file of this text."""
    path = folder / "a.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("form", "cell", "us"),
    [
        ("epoch_s", "1793872800", 0),
        ("epoch_s", "1793872800.1234569", 123_456),
        ("epoch_s", "1793872800.", 0),
        ("epoch_ms", "1793872800123.4567", 123_456),
        ("epoch_us", "1793872800123456.9", 123_456),
        ("epoch_ns", "1793872800123456999", 123_456),
        ("epoch_s", "1.7938728e9", None),
        ("epoch_s", "-5", None),
        ("epoch_s", "1793872800123456789", None),
        ("epoch_s", "", None),
        ("rfc3339", "2026-11-05T11:00:00.5+01:00", 500_000),
        ("rfc3339", "2026-11-05 10:00:00", None),
        ("local", "2026-11-05 10:00:00.25", 250_000),
        ("local", "2026/11/05T10:00:00", 0),
        ("elapsed_s", "0.5", 500_000),
        ("elapsed_ms", "1500", 1_500_000),
        ("elapsed_ns", "999", 0),
        ("%d-%m-%Y %H:%M:%S", "05-11-2026 10:00:00", 0),
        ("%d-%m-%Y %H:%M:%S", "5-11-2026 10:00:01", 1_000_000),
        ("%d-%m-%Y %H:%M:%S", "11-31-2026 10:00:00", None),
        ("%m/%d/%Y %I:%M:%S %p", "11/05/2026 10:00:00 AM", 0),
        ("%m/%d/%Y %I:%M:%S %p", "11/05/2026 12:00:00 am", -36_000_000_000),
        ("%Y%m%d %H%M%S.%f", "20261105 100000.5", 500_000),
        ("%Y%m%d %H%M%S", "2026115 100000", None),
        ("%d %b %Y %H:%M", "05 nov 2026 10:00", 0),
        ("%d.%m.%y %H:%M", "05.11.26 10:00", 0),
        ("%Y-%m-%dT%H:%M:%S%z", "2026-11-05T10:00:00+0530", -19_800_000_000),
        ("%Y-%m-%dT%H:%M:%S%z", "2026-11-05T10:00:00Z", 0),
        ("%Y-%m-%dT%H:%M:%S%z", "2026-11-05T10:00:00", None),
        ("%Y-%m-%d %H:%M:%S", "2026-11-05 10:00:60", None),
    ],
)
def test_each_form_of_a_time(tmp_path: Path, form: str, cell: str, us: int | None) -> None:
    since_us = START_US if form.startswith("elapsed") else None
    said = mapped(Measured("util", UTIL, "%"), form=form, since_us=since_us)
    whole = both(written(tmp_path, f"t,util\n{cell},92\n"), said)
    if us is None:
        assert [reason for _, reason in whole.quarantined] == ["bad_timestamp"]
    else:
        assert whole.readings == [Said("node:0", UTIL, START_US + us, 92.0)]


@pytest.mark.parametrize(
    ("unit", "metric", "said", "cell", "value"),
    [
        ("%", UTIL, {}, "45 %", 45.0),
        ("%", UTIL, {}, "45%", 45.0),
        ("%", UTIL, {}, "45 pct", 45.0),
        ("%", UTIL, {}, "45 W", "bad_value"),
        ("ratio", UTIL, {}, "0.45", 45.0),
        ("%", "DCGM_FI_PROF_SM_ACTIVE", {}, "45", 0.45),
        ("mW", POWER, {}, "301220", 301.22),
        ("kW", POWER, {}, "0.5 kW", 500.0),
        ("B", USED, {}, "536870912", 512.0),
        ("GiB", USED, {}, "1.5 GiB", 1536.0),
        ("MB", USED, {}, "1048.576", 1000.0),
        ("MiB", USED, {"thousands": ","}, '"1,234 MiB"', 1234.0),
        ("MiB", USED, {"thousands": ","}, '"12,34"', "bad_value"),
        ("MiB", USED, {}, '"1,234"', "bad_value"),
        ("MiB", USED, {"decimal": ","}, '"1,5"', 1.5),
        ("MiB", USED, {"decimal": ",", "thousands": "."}, '"1.234,5"', 1234.5),
        ("MiB", USED, {"decimal": ","}, "1.5", "bad_value"),
        ("MiB", USED, {"none": ("-1", "Err")}, "-1", "blank"),
        ("MiB", USED, {"none": ("-1", "Err")}, "ERR", "blank"),
        ("MiB", USED, {}, "[Not Supported]", "blank"),
        ("MiB", USED, {}, "", "blank"),
        ("MiB", USED, {}, "NaN", "blank"),
        ("MiB", USED, {}, "inf", "bad_value"),
        # What DCGM writes for no value, and numbers that are like it.
        ("MiB", USED, {}, "2147483634", "blank"),
        ("B", USED, {}, "2147483632", 2147483632 / 1048576),
        ("", "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", {}, "2147483634", 2147483634.0),
        ("", "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", {}, "9223372036854775794", "blank"),
        ("", "OWN", {}, "2147483634", 2147483634.0),
        ("MiB", USED, {}, '"26.11\n0"', "bad_value"),
        ("", "DCGM_FI_DEV_PSTATE", {}, "P8", 8.0),
        ("", "DCGM_FI_DEV_CLOCKS_EVENT_REASONS", {}, "0x24", 36.0),
        ("W", POWER, {}, "0x24", "bad_value"),
        ("rpm", "FAN_RPM", {}, "1200 rpm", 1200.0),
    ],
)
def test_each_form_of_a_value(
    tmp_path: Path, unit: str, metric: str, said: dict[str, Any], cell: str, value: float | str
) -> None:
    whole = both(written(tmp_path, f"t,x\n1793872800,{cell}\n"), mapped(Measured("x", metric, unit), **said))
    reasons: list[float | str] = [*(reason for _, reason in whole.quarantined), *["blank"] * whole.blank]
    assert (reasons or [whole.readings[0].value]) == [value]


@pytest.mark.parametrize(
    ("header", "row", "gpu", "settings", "who"),
    [
        ("t,util", "0,1", (), {}, "node:0"),
        ("t,g,util", "0,cuda:3,1", (("index", "g"),), {}, "node:3"),
        ("t,g,util", "0,GPU 3,1", (("index", "g"),), {}, "node:3"),
        ("t,g,util", "0,all,1", (("index", "g"),), {}, "no_gpu"),
        ("t,u,util", "0,GPU-abc,1", (("uuid", "u"),), {}, "GPU-abc"),
        ("t,u,util", "0,N/A,1", (("uuid", "u"),), {}, "node:0"),
        ("t,u,util", f"0,{'x' * 1025},1", (("uuid", "u"),), {}, "long_name"),
        ("t,p,util", "0,00000000:01:00.0,1", (("pci", "p"),), {"gpu_index": None}, "node:00000000:01:00.0"),
        ("t,h,g,util", "0,n9,3,1", (("host", "h"), ("index", "g")), {"host": ""}, "n9:3"),
    ],
)
def test_who_it_is_of(
    tmp_path: Path, header: str, row: str, gpu: tuple[tuple[str, str], ...], settings: dict[str, Any], who: str
) -> None:
    said = mapped(Measured("util", UTIL, "%"), form="elapsed_s", since_us=START_US, gpu=gpu)
    if "index" in dict(gpu):
        said = replace(said, gpu_index=None)
    whole = both(written(tmp_path, f"{header}\n{row}\n"), replace(said, **settings))
    assert ([each.gpu for each in whole.readings] or [reason for _, reason in whole.quarantined]) == [who]


def test_one_gpu_may_be_said_for_all(tmp_path: Path) -> None:
    said = mapped(Measured("util", UTIL, "%"), uuid="GPU-1", model="NVIDIA H200", labels=(("job", "job_id"),))
    whole = both(written(tmp_path, "t,util,job_id\n1793872800,1,77\n1793872801,1,\n"), replace(said, labels=(("rack", "r1"),)))
    assert [each.gpu for each in whole.readings] == ["GPU-1"] * 2
    assert [(key.model, key.labels) for key in whole.series] == [
        ("NVIDIA H200", {"rack": "r1", "job": "77"}),
        ("NVIDIA H200", {"rack": "r1"}),
    ]


def test_names_of_columns_may_name_the_gpu(tmp_path: Path) -> None:
    said = mapped(
        Measured("{host}/gpu{index}_util", UTIL, "%"), Measured("{uuid}", POWER, "W"), ignore=("total", "n1/gpu9_util")
    )
    text = "t,n1/gpu0_util,n-2/gpu10_util,n1/gpu9_util,GPU-ab,total\n1793872800,1,2,3,4,5\n"
    whole = both(written(tmp_path, text), replace(said, gpu_index=None))
    assert [(each.gpu, each.metric, each.value) for each in whole.readings] == [
        ("n1:0", UTIL, 1.0),
        ("n-2:10", UTIL, 2.0),
        ("GPU-ab", POWER, 4.0),
    ]


@pytest.mark.parametrize(
    ("header", "said", "says"),
    [
        ("time,util,power", ONE, "it has no column 't'; its columns are 'time', 'util', 'power'"),
        ("t,util,power,temp", ONE, "the mapping says nothing of 'temp': add what is measured to metrics"),
        ("t,t,util", ONE, "a column's name stands there twice: 't'"),
        ("t,util,util", ONE, "a column's name stands there twice: 'util'"),
        ("t,util,abc", mapped(Measured("util", UTIL, "%"), ignore=("[a]bc",)), "the mapping says nothing of 'abc'"),
        ("t;util", ONE, "it has no column 't'; its columns are 't;util'; ',' separates nothing in it: say delimiter"),
        ("t,x", mapped(Measured("util", UTIL, "%"), ignore=("*",)), "it has none of the columns of metrics"),
        ("t,util", replace(ONE, host=""), "it does not name its host: say host"),
        ("t,util", replace(ONE, gpu_index=None), "it does not name its GPU: say gpu_index"),
        ("t,util", mapped(Measured("util", UTIL, "%"), form="elapsed_s"), "its path does not say when it began"),
        ("t,a,b", mapped(Measured("a", UTIL, "%"), Measured("b", UTIL, "%")), "'a', 'b' would be one series"),
        ("t,g0,g00", mapped(Measured("g{index}", UTIL, "%")), "would be one series"),
        (
            "t,g0u",
            mapped(Measured("g{index}u", UTIL, "%"), Measured("{host}0u", POWER, "W")),
            "is each of these of metrics",
        ),
    ],
)
def test_a_header_that_does_not_fit_is_foreign_and_says_why(
    tmp_path: Path, header: str, said: SourceSettings, says: str
) -> None:
    whole = both(written(tmp_path, f"{header}\n1793872800,1,2\n"), said)
    assert (whole.format, whole.readings) == ("unknown", [])
    assert "the mapping of its source in TELEMETRY_SOURCE_SETTINGS does not fit" in whole.miss
    assert says in whole.miss


def test_a_source_with_a_mapping_is_read_by_nothing_else(tmp_path: Path) -> None:
    text = "timestamp,metric_name,uuid,value\n2026-11-05T10:00:00Z,M,GPU-1,1\n"
    assert both(written(tmp_path, text), SourceSettings()).format == "dcgm"
    assert both(written(tmp_path, text), ONE).format == "unknown"


def test_a_mapping_may_name_columns_that_one_version_of_a_script_lacks(tmp_path: Path) -> None:
    text = "t,util\n1793872800,1\nt,util,power\n1793872801,2,300\n"
    whole = both(written(tmp_path, text), ONE)
    assert [each.value for each in whole.readings] == [1.0, 2.0, 300.0]
    assert whole.quarantined == []


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_header_may_be_said_or_come_again(tmp_path: Path, delimiter: str) -> None:
    said = mapped(Measured("util", UTIL, "%"), delimiter=delimiter)
    header, rows = f"t{delimiter}util\n", f"1793872800{delimiter}1\n1793872801{delimiter}2\n"
    again = both(written(tmp_path, header + rows + header), said)
    bare = both(written(tmp_path, rows), replace(said, header=header.strip()))
    assert [each.value for each in again.readings] == [each.value for each in bare.readings] == [1.0, 2.0]
    assert again.quarantined == bare.quarantined == []


def test_a_label_that_numbers_the_records_is_named(tmp_path: Path) -> None:
    said = mapped(Measured("util", UTIL, "%"), Measured("power", POWER, "W"), labels=(("step", "step_no"),))
    path = written(tmp_path, "t,util,power,step_no\n" + "".join(f"{1793872800 + n},1,2,{n}\n" for n in range(2000)))
    with SourceFile.open(path, max_record=1 << 16, final=True, settings=said) or pytest.fail("it has rows") as source:
        assert list(Cutter(source, READER).batches(source.head.first, limit=4000, room_bytes=1 << 30, now_us=0))
        assert source.series_column() == "step_no"


def test_what_is_said_is_part_of_a_batch_and_its_order_is_not() -> None:
    one, other = Measured("a", UTIL, "%"), Measured("b", POWER, "W")

    def how(said: SourceSettings) -> str:
        known = Mapped.of_header(["t", "a", "b"], said)
        assert known is not None
        return known.used().interpretation()

    assert how(mapped(one, other)) == how(mapped(other, one))
    assert how(mapped(one, other)) != how(mapped(one, Measured("b", POWER, "mW")))
    # No time is read by the zone, and a GPU of index 0 is one that is named.
    assert how(mapped(one, other)) == how(replace(mapped(one, other), time_zone="Europe/Berlin"))
    assert SourceSettings(gpu_index=0).interpretation() != SourceSettings().interpretation()


REAL = Path(os.environ.get("TELEMETRY_REAL_DATA", "none")) / "nvidia-smi-h200" / "nvml.csv"
NVML = {
    "mem": ("DCGM_FI_DEV_MEM_COPY_UTIL", "%", 1),
    "used": (USED, "B", 1 << 20),
    "total": ("DCGM_FI_DEV_FB_TOTAL", "B", 1 << 20),
    "temp": ("DCGM_FI_DEV_GPU_TEMP", "°C", 1),
    "power_mw": (POWER, "mW", 1000),
    "sm": ("DCGM_FI_DEV_SM_CLOCK", "MHz", 1),
    "memclk": ("DCGM_FI_DEV_MEM_CLOCK", "MHz", 1),
    "energy_mj": ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "mJ", 1),
}


@pytest.mark.skipif(not REAL.exists(), reason="TELEMETRY_REAL_DATA does not name the folder of a recording")
def test_what_nvml_said_of_a_real_gpu_is_what_is_read() -> None:
    utilization = Measured("gpu", UTIL, "%")
    said = mapped(*(Measured(name, metric, unit) for name, (metric, unit, _) in NVML.items()), utilization)
    whole = both(REAL, said)
    with REAL.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    values = [(each.metric, each.value) for each in whole.readings]
    expected = [
        (UTIL, float(row["gpu"])) if name == "gpu" else (NVML[name][0], float(row[name]) / NVML[name][2])
        for row in rows
        for name in row
        if name != "t"
    ]
    assert rows
    assert values == expected
    assert [whole.readings[n].ts_us for n in range(0, len(values), 9)] == [round(Decimal(row["t"]) * 1_000_000) for row in rows]


CASES = [
    (UTIL, "%", st.integers(0, 100).map(float)),
    (POWER, "W", st.floats(0, 1500, allow_nan=False).map(lambda value: round(value, 3))),
    (POWER, "mW", st.integers(0, 1_500_000).map(float)),
    (USED, "B", st.integers(0, 1 << 40).map(float)),
    (USED, "MB", st.floats(0, 1e6).map(lambda value: round(value, 2))),
    ("DCGM_FI_DEV_GPU_TEMP", "°C", st.integers(-5, 120).map(float)),
    ("DCGM_FI_PROF_SM_ACTIVE", "%", st.floats(0, 100).map(lambda value: round(value, 4))),
    ("OWN_METRIC", "", st.floats(-1e9, 1e9)),
]
FORMS = {
    "epoch_s": lambda us: f"{us // 10**6}.{us % 10**6:06}",
    "epoch_ms": lambda us: f"{us // 1000}.{us % 1000:03}",
    "epoch_ns": lambda us: f"{us}000",
    "elapsed_us": lambda us: str(us - START_US),
}


@st.composite
def files(draw: st.DrawFn) -> tuple[str, SourceSettings, list[Said]]:
    """A file, the settings of its source with a mapping, and its readings."""
    form = draw(st.sampled_from(sorted(FORMS)))
    chosen = draw(st.lists(st.sampled_from(CASES), min_size=1, max_size=4, unique_by=lambda case: case[0]))
    names = draw(
        st.lists(
            st.sampled_from(["a", "power.draw", "Util(%)", "x y", "Ω"]), min_size=len(chosen), max_size=len(chosen), unique=True
        )
    )
    delimiter, decimal = draw(st.sampled_from([(",", "."), (";", "."), (";", ","), ("\t", ".")]))
    by = draw(st.sampled_from(["index", "uuid"]))
    mapping = ColumnMapping(
        ("t",),
        form,
        tuple(sorted(Measured(name, metric, unit) for name, (metric, unit, _) in zip(names, chosen, strict=True))),
        START_US if form.startswith("elapsed") else None,
        ((by, "who"),),
        delimiter=delimiter,
        decimal=decimal,
        ignore=("note*",),
    )
    columns = draw(st.permutations(["t", "who", "notes", *names]))
    lines, readings = [delimiter.join(columns)], []
    for _ in range(draw(st.integers(1, 5))):
        us, who = START_US + draw(st.integers(0, 10**10)), draw(st.integers(0, 7))
        cells = {"t": FORMS[form](us), "who": f"gpu{who}" if by == "index" else f"GPU-{who}", "notes": "n"}
        if form in {"epoch_s", "epoch_ms"}:
            cells["t"] = cells["t"].replace(".", decimal)
        said: dict[str, Said] = {}
        for name, (metric, unit, values) in zip(names, chosen, strict=True):
            value = draw(values)
            spelt = draw(st.sampled_from(["", *(f" {each}" for each in SPELLINGS.get(unit, ()))]))
            cells[name] = repr(value).replace(".", decimal) + spelt
            times, over = conversion(unit, {UTIL: "%", POWER: "W", USED: "MiB"}.get(metric, unit)) or (1, 1)
            over = 100 if metric == "DCGM_FI_PROF_SM_ACTIVE" else over
            said[name] = Said(f"node:{who}" if by == "index" else f"GPU-{who}", metric, us, value * times / over)
        blank = draw(st.sampled_from(["", *names]))
        if blank and draw(st.booleans()):
            cells[blank] = draw(st.sampled_from(["", "N/A", "[N/A]", "nan", "-"]))
            del said[blank]
        readings += [said[name] for name in columns if name in said]
        quoted = draw(st.booleans())
        lines.append(delimiter.join(f'"{cells[name]}"' if quoted else cells[name] for name in columns))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return end.join([*lines, ""]), SourceSettings("", "node", mapping=mapping), readings


def toml_of(said: SourceSettings) -> str:
    """The settings of a source as their operator writes them."""
    mapping = said.mapping
    assert mapping is not None
    since = f', since = "{datetime.fromtimestamp(mapping.since_us / 1e6, UTC).isoformat()}"' if mapping.since_us else ""
    gpu = ", ".join(f"{role} = {json.dumps(column)}" for role, column in mapping.gpu)
    lines = [
        *(
            "[[source]]",
            'path = "*.csv"',
            f'host = "{said.host}"',
            f"gpu = {{ {gpu} }}",
            f"delimiter = {json.dumps(mapping.delimiter)}",
        ),
        f'time = {{ column = {json.dumps(mapping.time[0])}, form = "{mapping.form}"{since} }}',
        *(f"decimal = '{mapping.decimal}'", f"ignore = {json.dumps(mapping.ignore)}", "[source.metrics]"),
    ]
    for column, metric, unit in mapping.metrics:
        behind = f" [{unit}]" if unit else ""
        lines.append(f"""{json.dumps(column, ensure_ascii=False)} = "{metric}{behind}\"""")
    return "\n".join(lines)


@hypothesis(max_examples=300, deadline=None)
@given(files(), st.integers(1, 40))
def test_what_a_file_says_survives_the_way(case: tuple[str, SourceSettings, list[Said]], limit: int) -> None:
    text, said, readings = case
    with TemporaryDirectory() as folder:
        path, written_down = Path(folder, "a.csv"), Path(folder, "sources.toml")
        path.write_bytes(text.encode())
        written_down.write_text(toml_of(said))
        read = Settings.load({"TELEMETRY_SOURCE_SETTINGS": str(written_down)}).of_source(str(path))
        assert read == said
        whole = both(path, read, limit)
    assert whole.readings == readings
    assert whole.quarantined == []


CELL = st.sampled_from(
    [
        *("2147483632", "9223372036854775807", "140737488355330"),
        *("0", "92", "92 %", "1,234", "1.234", "1'234,5", "1.234,5", "301.22 W", "25 MiB", "P0", "0x24", "[N/A]", "N/A", ""),
        *(
            "x",
            "-1",
            "1e3",
            "+7",
            ".5",
            "5.",
            "nan",
            "inf",
            "1e999",
            "[",
            "[]",
            "[a] [b]",
            "1_0",
            "٣",
            "a\nb",
            "-0",
            "12,345,678.9",
        ),
    ]
)
TIME = st.sampled_from(
    [
        *("1793872800", "1793872800.5", "1793872800,5", "2026-11-05 10:00:00", "2026-11-05T10:00:00Z", "05-11-2026 10:00:00"),
        *("2026-10-25 02:30:00", "2026-03-29 02:30:00", "25-10-2026 02:30:00", "1999-01-01 00:00:00", "", "t", "0", "9" * 30),
        *("5-1-2026 1:2:3", "31-02-2026 00:00:00", "1793872800.99999999999999999999999999999999", "2026-11-05T10:00:00+2400"),
    ]
)
WHO = st.sampled_from(["0", "gpu1", "GPU 2", "cuda:3", "", "N/A", "x", "GPU-0a1b", "0000", "1234567890"])


@st.composite
def odd_files(draw: st.DrawFn) -> tuple[str, SourceSettings]:
    """A file that is nearly one of its mapping, and a mapping of any form."""
    form = draw(
        st.sampled_from(["epoch_s", "epoch_ms", "elapsed_s", "local", "rfc3339", "%d-%m-%Y %H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"])
    )
    delimiter = draw(st.sampled_from([",", ";", "\t"]))
    decimal, thousands = draw(st.sampled_from([(".", ""), (".", ","), (".", "'"), (",", "."), (",", "")]))
    mapping = ColumnMapping(
        ("t",),
        form,
        (Measured("p", POWER, "W"), Measured("u", UTIL, "%"), Measured("x", "OWN", ""), Measured("{index}m", USED, "MiB")),
        START_US if form == "elapsed_s" else None,
        draw(st.sampled_from([(), (("index", "who"),), (("uuid", "who"),), (("pci", "who"),), (("host", "who"),)])),
        labels=draw(st.sampled_from([(), (("job", "who"),)])),
        delimiter=delimiter,
        decimal=decimal,
        thousands=thousands,
        none=draw(st.sampled_from([(), ("-1", "x")])),
        ignore=("who",),
    )
    said = SourceSettings(
        "Europe/Berlin", draw(st.sampled_from(["node", ""])), draw(st.sampled_from([None, 0])), mapping=mapping
    )
    columns = ["t", "who", *draw(st.lists(st.sampled_from(["p", "u", "x", "0m", "1m", "p"]), min_size=1, max_size=4))]
    lines = [delimiter.join(columns)]
    for _ in range(draw(st.integers(1, 6))):
        cells = [draw(TIME), draw(WHO), *(draw(CELL) for _ in columns[2:])]
        lines.append(
            delimiter.join(f'"{cell}"' if delimiter in cell or "\n" in cell or draw(st.booleans()) else cell for cell in cells)
        )
        if draw(st.integers(0, 5)) == 5:
            lines.append(lines[0])
        if draw(st.integers(0, 9)) == 9:
            lines.append(draw(st.sampled_from(['"', "", f"a{delimiter}b", f"time{delimiter}b{delimiter}c", "\0"])))
    return "\n".join(lines) + draw(st.sampled_from(["\n", ""])), said


@hypothesis(max_examples=500, deadline=None)
@given(odd_files(), st.integers(1, 20))
def test_streamer_and_verify_agree(case: tuple[str, SourceSettings], limit: int) -> None:
    text, said = case
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.csv")
        path.write_bytes(text.encode())
        both(path, said, limit)
