"""Generated mappings and files: what a file says survives the way to readings, and streamer and `verify` agree."""

from __future__ import annotations

import csv
import json
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from telemetry.readings.mapping import ColumnMapping, Measured
from telemetry.readings.source_settings import SourceSettings
from telemetry.readings.units import SPELLINGS, conversion
from telemetry.settings import Settings
from tests.examples import examples
from tests.formats.both import Said, both
from tests.formats.mappings import POWER, START_US, USED, UTIL, mapped

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


@hypothesis(max_examples=examples(300), deadline=None)
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


@hypothesis(max_examples=examples(500), deadline=None)
@given(odd_files(), st.integers(1, 20))
def test_streamer_and_verify_agree(case: tuple[str, SourceSettings], limit: int) -> None:
    text, said = case
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.csv")
        path.write_bytes(text.encode())
        both(path, said, limit)
