"""What names a series in the dcgm format, and what only stands where a name would. Streamer and `verify` say the same."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from telemetry.formats.dcgm_series import named_series
from telemetry.readings.series import SeriesKey
from telemetry.readings.source_settings import NO_SETTINGS, SourceSettings
from telemetry.settings import Settings
from telemetry.verify.formats.base import Rules
from telemetry.verify.formats.dcgm import DcgmReader

CELLS = {"metric_name": "M", "uuid": "GPU-1", "Hostname": "node", "gpu_id": "3", "labels_raw": ""}
RULES = Rules.of(Settings(), datetime(2026, 1, 1, tzinfo=UTC))


def gpu(**cells: str) -> str:
    """The GPU that these cells name, or why they name none."""
    text, reason = named_series({**CELLS, **cells})
    names = ("timestamp", "value", *CELLS, *(cells.keys() - CELLS.keys()))
    (reading,) = DcgmReader(names, RULES).read(
        (
            b"",
            b"2025-07-18T20:42:34Z",
            b"",
            b"1",
            b"".join(b',"' + {**CELLS, **cells}[name].replace('"', '""').encode() + b'"' for name in names[2:]),
        )
    )
    said = SeriesKey.from_text(text).gpu if text else reason
    assert said == (reading.series.gpu if reading.series else reading.reason)
    return said


@pytest.mark.parametrize(
    "word",
    [
        *("", "N/A", "[N/A]", "n/a", "unknown", "Unknown", "[Unknown Error]", "Unknown Error", "[Not Supported]", "none"),
        *("NULL", "nan", "-", "--", "0", "0000", "00000000-0000-0000-0000-000000000000"),
        *("GPU-00000000-0000-0000-0000-000000000000", "MIG-00000000-0000-0000-0000-000000000000"),
    ],
)
def test_what_stands_for_no_name_names_nothing(word: str) -> None:
    assert gpu(uuid=word) == "node:3"
    assert gpu(uuid=word, labels_raw='UUID="GPU-7"') == "GPU-7"
    assert gpu(uuid=word, labels_raw=f'{{UUID="{word}"}}') == "node:3"
    assert gpu(Hostname=word, uuid="") == "no_gpu"
    assert gpu(Hostname=word, uuid="", labels_raw='{ Hostname="other" }') == "other:3"


@pytest.mark.parametrize("word", ["GPU-0", "GPU-N/A", "unknown-7", "-0", "[0]", "00x", "nullable", "GPU-0000"])
def test_what_is_near_to_it_is_a_name(word: str) -> None:
    assert gpu(uuid=word) == word


def test_the_pod_that_used_the_gpu_stands_before_that_of_the_exporter() -> None:
    def labels(said: SourceSettings = NO_SETTINGS, **cells: str) -> dict[str, str]:
        return SeriesKey.from_text(named_series({**CELLS, **cells}, said)[0]).labels

    raw = 'exported_pod="train-1",exported_namespace="a",exported_job="j"'
    assert labels(pod="exporter-7", labels_raw=raw) == {"pod": "train-1", "namespace": "a", "exported_job": "j"}
    assert labels(pod="exporter-7", namespace="ops", exported_pod="") == {"pod": "exporter-7", "namespace": "ops"}
    kept = labels(SourceSettings(keep_exporter=True), pod="exporter-7", exported_pod="train-1")
    assert kept == {"pod": "exporter-7", "exported_pod": "train-1"}


@pytest.mark.parametrize("column", ["Unnamed: 0", "Unnamed: 12", "index", "level_0"])
def test_numbers_of_rows_are_no_labels(column: str) -> None:
    assert named_series({**CELLS, column: "17"}) == named_series(CELLS)


@pytest.mark.parametrize("column", ["Unnamed: x", "Unnamed", "index2", "Index", "seq"])
def test_other_columns_are(column: str) -> None:
    assert named_series({**CELLS, column: "17"}) != named_series(CELLS)
