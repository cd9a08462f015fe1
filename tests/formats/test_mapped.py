"""Wide files by a mapping: what a file says survives the way to readings, both readers agree, and nothing is guessed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from telemetry.formats.mapped import Mapped
from telemetry.readings.mapping import Measured
from telemetry.readings.source_settings import SourceSettings
from telemetry.streamer.batching import Cutter
from telemetry.streamer.source import SourceFile
from tests.formats.both import READER, Said, both
from tests.formats.mappings import POWER, START_US, USED, UTIL, mapped, written

ONE = mapped(Measured("util", UTIL, "%"), Measured("power", POWER, "W"))


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
