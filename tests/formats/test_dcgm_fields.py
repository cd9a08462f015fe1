"""A dump of DCGM's fields: values and times as DCGM has them, by names of the catalogue; nothing is guessed."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from telemetry.readings.catalogue import KNOWN
from telemetry.readings.dcgm_fields import BY_SHORT_NAME, BY_TAG, of_tag
from telemetry.readings.source_settings import NO_SETTINGS
from tests.examples import examples
from tests.formats import reading
from tests.formats.reading import NODE, Said, foreign, written

HEADER = "GPUId,TimeStampUs,Field,Values"
AT_US = 1_793_872_800_123_456


def test_a_value_stands_under_the_name_of_its_field_in_the_catalogue(tmp_path: Path) -> None:
    rows = [
        ("gpu_utilization", "92"),
        ("power_usage", "301.20"),
        ("nvlink_bandwidth_total", "7"),
        ("throttle_reason_idle", "1"),
    ]
    path = written(tmp_path / "a.csv", HEADER, *(f"3,{AT_US},{tag},{value}" for tag, value in rows))
    readings, quarantined, _ = reading.read(path, "dcgm-fields")
    assert quarantined == []
    assert readings == [
        Said("node:3", "DCGM_FI_DEV_GPU_UTIL", AT_US, 92.0),
        Said("node:3", "DCGM_FI_DEV_POWER_USAGE", AT_US, 301.2),
        Said("node:3", "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", AT_US, 7.0),
        Said("node:3", "DCGM_TAG_THROTTLE_REASON_IDLE", AT_US, 1.0),
    ]


def test_each_field_of_the_catalogue_has_a_tag_and_a_short_name() -> None:
    named = {name for name in KNOWN if name.startswith("DCGM_FI_")} - {"DCGM_FI_DEV_CLOCK_THROTTLE_REASONS"}
    assert set(BY_TAG.values()) == set(BY_SHORT_NAME.values()) == named
    assert of_tag("gpu_temp") == "DCGM_FI_DEV_GPU_TEMP"


def test_a_number_by_which_dcgm_says_none_is_blank(tmp_path: Path) -> None:
    rows = [("gpu_temp", "2147483632"), ("power_usage", "140737488355328.00"), ("total_energy_consumption", "2147483632")]
    path = written(tmp_path / "a.csv", HEADER, *(f"3,{AT_US},{tag},{value}" for tag, value in rows))
    readings, _, blank = reading.read(path, "dcgm-fields")
    assert ([each.metric for each in readings], blank) == (["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"], 2)


def test_without_its_host_it_is_not_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", HEADER, f"3,{AT_US},gpu_temp,42")
    assert "it is of dcgm-fields, and it does not name its host: host; say so in the file" in foreign(path, NO_SETTINGS)
    assert "no format knows" in foreign(written(tmp_path / "b.csv", HEADER + ",more", f"3,{AT_US},gpu_temp,42,1"), NODE)


CELLS = (
    st.sampled_from(["0", "7", "x", "", "1234567890"]),
    st.sampled_from([str(AT_US), f" {AT_US}", f"{AT_US}.5", "9" * 19, "-1", "", "1", "2026-11-05T00:00:00Z"]),
    st.sampled_from(["gpu_temp", " power_usage", "total_energy_consumption", "name", "", "x" * 600, "GPU_TEMP", "é"]),
    st.sampled_from(["42", "42.50", "", "N/A", "x", "2147483633", "9223372036854775792", "1e400", '"a,b"']),
)


@hypothesis(max_examples=examples(300), deadline=None)
@given(st.permutations(range(4)), st.lists(st.tuples(*CELLS) | st.just(("0",)), min_size=1, max_size=8))
def test_streamer_and_verify_agree(order: list[int], rows: list[tuple[str, ...]]) -> None:
    names = HEADER.split(",")
    lines = [[names[n] for n in order], *([row[n] for n in order] if len(row) == 4 else list(row) for row in rows)]
    note(repr(lines))
    with TemporaryDirectory() as folder:
        reading.read(written(Path(folder, "a.csv"), *map(",".join, lines)), "dcgm-fields")


@pytest.mark.parametrize("column", range(4))
def test_a_cell_that_is_none_turns_its_row_away(tmp_path: Path, column: int) -> None:
    row = ["3", str(AT_US), "gpu_temp", "42"]
    row[column] = "" if column == 2 else "x"
    _, quarantined, _ = reading.read(written(tmp_path / "a.csv", HEADER, ",".join(row)), "dcgm-fields")
    assert quarantined == [(2, ["no_gpu", "bad_timestamp", "no_metric", "bad_value"][column])]
