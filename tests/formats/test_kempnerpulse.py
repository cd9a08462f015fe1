"""What KempnerPulse exports: values under the names of DCGM's fields, shares of cycles as ratios, and nothing is guessed."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from telemetry.readings.kempnerpulse import COLUMNS, NAMES
from telemetry.readings.source_settings import NO_SETTINGS, SourceSettings
from tests.examples import examples
from tests.formats import reading
from tests.formats.reading import NODE, foreign, written

DEFAULT = "timestamp,gpu_id,model,gpu_util_pct,mem_used_mib,real_util_pct,sm_active_pct,tensor_active_pct,dram_active_pct"


def test_the_default_columns(tmp_path: Path) -> None:
    readings, quarantined, blank = reading.read(
        written(tmp_path / "a.csv", DEFAULT, "1793872800.12,3,H100,92,512,80.5,75,50,"), "kempnerpulse"
    )
    assert [(each.gpu, each.metric, each.value) for each in readings] == [
        ("node:3", "DCGM_FI_DEV_GPU_UTIL", 92.0),
        ("node:3", "DCGM_FI_DEV_FB_USED", 512.0),
        ("node:3", "KEMPNERPULSE_REAL_UTIL_PCT", 80.5),
        ("node:3", "DCGM_FI_PROF_SM_ACTIVE", 0.75),
        ("node:3", "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", 0.5),
    ]
    assert {each.ts_us for each in readings} == {1_793_872_800_120_000}
    assert (quarantined, blank) == ([], 1)


def test_all_of_its_columns_are_known(tmp_path: Path) -> None:
    names = [*sorted(NAMES), *COLUMNS]
    row = ",".join({"timestamp": "1793872800", "gpu_id": "0"}.get(name, "1") for name in names)
    readings, _, _ = reading.read(written(tmp_path / "a.csv", ",".join(names), row), "kempnerpulse")
    assert (len(names), len(readings)) == (34, 29)


@pytest.mark.parametrize(
    ("header", "said", "lacks"),
    [
        (DEFAULT, NO_SETTINGS, "it is of kempnerpulse, and it does not name its host: host; say so"),
        ("timestamp,gpu_id,gpu_util_pct", NODE, "no format knows"),
        (DEFAULT + ",more", NODE, "no format knows"),
    ],
)
def test_what_it_does_not_say_is_not_guessed(tmp_path: Path, header: str, said: SourceSettings, lacks: str) -> None:
    assert lacks in foreign(written(tmp_path / "a.csv", header, "1793872800,3,92"), said)


CELL = st.sampled_from(["0", "92.5", "", "N/A", "x", "1e400", " 7 ", "é", "-1", "1793872800.1234567", "9" * 20])


@hypothesis(max_examples=examples(150), deadline=None)
@given(st.data(), st.lists(st.sampled_from([*COLUMNS, "model", "health"]), max_size=5, unique=True))
def test_streamer_and_verify_agree(data: st.DataObject, more: list[str]) -> None:
    names = [*data.draw(st.permutations(["timestamp", "gpu_id", *{*more, "real_util_pct"}]))]
    lines = [",".join(names)]
    for _ in range(data.draw(st.integers(1, 6))):
        row = ",".join("1793872800" if name == "timestamp" and data.draw(st.booleans()) else data.draw(CELL) for name in names)
        lines.append(data.draw(st.sampled_from([row, row, row, lines[0], row + ",", row + ",1"])))
    note(repr(lines))
    with TemporaryDirectory() as folder:
        reading.read(written(Path(folder, "a.csv"), *lines), "kempnerpulse")
