"""Cells that tools write where a value, a time or labels would stand. Streamer and `verify` say the same of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from telemetry.readings.source_settings import NO_SETTINGS
from tests.formats.both import Whole, both

HEADER = "timestamp,metric_name,gpu_id,uuid,Hostname,value,labels_raw\n"
SECOND_US = 1_000_000
NOON_US = 1_793_966_400 * SECOND_US


def told(path: Path, time: str = "2026-11-06T12:00:00Z", value: str = "7", labels: str = "") -> Whole:
    """A row with these cells."""
    labels = labels.replace('"', '""')
    path.write_text(f'{HEADER}"{time}",M,0,GPU-1,host,"{value}","{labels}"\n')
    return both(path, NO_SETTINGS)


@pytest.mark.parametrize(
    "word",
    [
        *("", " ", "N/A", "n/a", "[N/A]", "[Not Supported]", "[not supported]", "Not Supported", "[Unknown Error]"),
        *("null", "NULL", "None", "none", "nan", "-", "--"),
    ],
)
def test_what_says_that_there_is_no_value_is_blank(tmp_path: Path, word: str) -> None:
    whole = told(tmp_path / "a.csv", value=word)
    assert (whole.blank, whole.readings, whole.quarantined) == (1, [], [])


@pytest.mark.parametrize(
    "word", ["ERR!", "unknown", "[Insufficient Permissions]", "0 W", "7,5", "---", "nil", "N / A", "Not Active", "true"]
)
def test_other_words_are_no_value_and_are_kept(tmp_path: Path, word: str) -> None:
    whole = told(tmp_path / "a.csv", value=word)
    assert (whole.blank, whole.readings) == (0, [])
    assert [reason for _, reason in whole.quarantined] == ["bad_value"]


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        *(("2026-11-06T12:00:00+0000", 0), ("2026-11-06 12:00:00+00", 0), ("2026-11-06 12:00:00-00", 0)),
        *(("2026-11-06T13:30:00+0130", 0), ("2026-11-06 05:00:00-07", 0), ("2026-11-06T12:00:01.5+00", 1.5)),
        ("2026-11-06t12:00:00z", 0),
    ],
)
def test_an_offset_may_lack_its_colon_or_its_minutes(tmp_path: Path, time: str, seconds: float) -> None:
    (reading,) = told(tmp_path / "a.csv", time=time).readings
    assert reading.ts_us == NOON_US + int(seconds * SECOND_US)


@pytest.mark.parametrize(
    "time",
    [
        *("2026-11-06T12:00:00", "2026-11-06T12:00:00+0", "2026-11-06T12:00:00+000", "2026-11-06T12:00:00+24"),
        *("2026-11-06T12:00:00+00000", "2026-11-06T12:00:00 0000", "2026-11-06T12:00:00+0060", "2026-11-06T12:00:00+ 00"),
    ],
)
def test_what_is_no_offset_is_not_guessed(tmp_path: Path, time: str) -> None:
    assert [reason for _, reason in told(tmp_path / "a.csv", time=time).quarantined] == ["bad_timestamp"]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        *(('{a="b"}', {"a": "b"}), ('{ a="b", c="d" }', {"a": "b", "c": "d"}), ('{a="}"}', {"a": "}"}), ("{}", {})),
        ('{a="b",}', {"a": "b"}),
    ],
)
def test_labels_may_stand_in_braces(tmp_path: Path, labels: str, said: dict[str, str]) -> None:
    (series,) = told(tmp_path / "a.csv", labels=labels).series
    assert series.labels == said


@pytest.mark.parametrize("labels", ['{a="b"', 'a="b"}', '{{a="b"}}', '{"a":"b"}', '"my.label"="x"', '{a="b"}x'])
def test_what_is_no_list_of_labels_turns_the_row_away(tmp_path: Path, labels: str) -> None:
    assert [reason for _, reason in told(tmp_path / "a.csv", labels=labels).quarantined] == ["bad_labels"]
