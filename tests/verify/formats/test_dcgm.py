"""What a row says: times, labels, values, and the series they belong to."""

from __future__ import annotations

import csv
import io
import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.settings import Settings
from telemetry.verify.formats import labels
from telemetry.verify.formats.base import Reading, Rules, SeriesKey
from telemetry.verify.formats.heads import head
from telemetry.verify.formats.records import rows
from telemetry.verify.formats.timestamps import microseconds
from telemetry.verify.formats.values import number

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ROW = {"timestamp": "2025-07-18T20:42:34Z", "metric_name": "DCGM_FI_DEV_GPU_UTIL", "uuid": "GPU-1", "value": "7"}
GPU = {"Hostname": "node", "gpu_id": "0"}


def read(**cells: str) -> Reading:
    """What a row of these cells says; an empty one leaves the column there."""
    written = io.StringIO()
    csv.writer(written).writerows([cells.keys(), cells.values()])
    data = written.getvalue().encode()
    rules = Rules.of(Settings(), NOW)
    (row,) = rows(data, head(data, rules), rules)
    assert not row.reason
    (reading,) = row.readings
    return reading


def series(**cells: str) -> SeriesKey:
    """The series of a row that differs from ROW in these cells."""
    key = read(**{**ROW, **cells}).series
    assert key is not None
    return key


def labelled(**pairs: str) -> SeriesKey:
    """The series of ROW under some labels."""
    return Rules.of(Settings(), NOW).series("GPU-1", ROW["metric_name"], pairs)


@given(
    st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)),  # noqa: DTZ001
    st.integers(-1439, 1439),
    st.sampled_from("T "),
)
def test_times_agree_with_the_standard_library(naive: datetime, minutes: int, between: str) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert microseconds(moment.isoformat(between).encode()) == (moment - EPOCH) // timedelta(microseconds=1)


@given(st.binary(max_size=40))
def test_no_bytes_raise(some: bytes) -> None:
    microseconds(some)
    number(some)


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        (b"1970-01-01T00:00:00Z", 0),
        (b"1970-01-01 00:00:01.5Z", 1_500_000),
        (b"1970-01-01T00:00:00.123456789Z", 123_456),
        (b"1969-12-31T23:59:59.9999999Z", -1),
        (b"1970-01-01T01:00:00+01:00", 0),
        (b"1969-12-31T19:30:00-04:30", 0),
        (b"1970-01-01t00:00:00z", 0),
        (b"2024-02-29T00:00:00Z", 1_709_164_800_000_000),
        (b"2023-02-29T00:00:00Z", None),
        (b"1970-01-01T00:00:00", None),
        (b"1970-01-01T24:00:00Z", None),
        (b"1970-01-01T00:00:00.Z", None),
        (b"1970-01-01T00:00:00.1234567890Z", None),
        (b"1970-01-01T01:00:00+0100", 0),
        (b"1970-01-01T01:00:00+01", 0),
        (b"1970-01-01T01:00:00+1", None),
        (b"1970-01-01T01:00:00+01:", None),
        (b"0000-01-01T00:00:00Z", None),
        ("１970-01-01T00:00:00Z".encode(), None),  # noqa: RUF001
        (b"", None),
    ],
)
def test_times(stamp: bytes, expected: int | None) -> None:
    assert microseconds(stamp) == expected


names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_.]{0,6}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(st.dictionaries(names, texts, max_size=5), st.sampled_from([",", " , ", "\t,"]), st.booleans())
def test_labels_are_read_back(pairs: dict[str, str], between: str, trailing: bool) -> None:
    escaped = {k: v.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for k, v in pairs.items()}
    raw = between.join(f'{name}="{value}"' for name, value in escaped.items())
    assert labels.parse(raw + ("," if trailing and raw else "")) == pairs


@given(st.text('ab="\\n, .\t', max_size=20))
def test_no_labels_raise(raw: str) -> None:
    labels.parse(raw)


@pytest.mark.parametrize(
    "raw", ["a", "a=", 'a="', 'a="b', "a=b", '="b"', '1a="b"', 'a="b" c="d"', 'a="\\t"', ",", ',a="b"', 'a="b",,']
)
def test_what_is_no_list_of_labels(raw: str) -> None:
    assert labels.parse(raw) is None


@pytest.mark.parametrize(
    "cell",
    [
        *("", " ", "NaN", "nan", "N/A", "n/a", "2147483632", "2147483635.0", "140737488355328"),
        # The 64-bit sentinels after a trip through a double.
        *("9223372036854775792", "9223372036854775795", "9.223372036854775808e18"),
    ],
)
def test_blank(cell: str) -> None:
    assert read(**ROW | {"value": cell}).reason == "blank"


def test_a_counter_passes_through_the_32_bit_sentinels() -> None:
    counter = ROW | {"metric_name": "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"}
    assert read(**counter | {"value": "2147483632"}).value == 2147483632
    assert read(**counter | {"value": "9223372036854775794"}).reason == "blank"


@pytest.mark.parametrize("cell", ["x", "1_0", "inf", "-Infinity", "0x1", "1e999", "1,5", "1 2", "--1", ".", "1e", "٣"])
def test_bad_values(cell: str) -> None:
    assert read(**ROW | {"value": cell}).reason == "bad_value"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_every_bit(value: float) -> None:
    found = number(repr(value).encode())
    assert found == value
    assert math.copysign(1, float(found)) == math.copysign(1, value)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"timestamp": "yesterday", "metric_name": ""}, "bad_timestamp"),
        ({"timestamp": "1999-12-31T23:59:59.999999Z"}, "too_old"),
        ({"timestamp": "2000-01-01T00:00:00Z"}, ""),
        ({"timestamp": "2026-01-01T01:00:00Z"}, ""),
        ({"timestamp": "2026-01-01T01:00:00.000001Z"}, "too_new"),
        ({"metric_name": " ", "uuid": ""}, "no_metric"),
        ({"uuid": ""}, "no_gpu"),
        ({"uuid": "", "Hostname": "node", "gpu_id": "-1"}, "no_gpu"),
        ({"uuid": "", "Hostname": "node", "gpu_id": "9" * 5000}, "no_gpu"),
        ({"labels_raw": "x", "value": ""}, "bad_labels"),
    ],
)
def test_the_first_reason_that_applies(cells: dict[str, str], reason: str) -> None:
    assert read(**ROW | cells).reason == reason


def test_a_gpu_is_its_uuid_or_host_and_index() -> None:
    assert series(**GPU).gpu == "GPU-1"
    assert series(**GPU, uuid="", labels_raw='UUID="GPU-2"').gpu == "GPU-2"
    assert series(**GPU, uuid="").gpu == "node:0"
    assert series(Hostname=" node ", gpu_id="", uuid=" ", labels_raw='gpu="3",Hostname="other"').gpu == "node:3"


def test_lasting_labels_make_the_series() -> None:
    assert series(pod="p", container="", labels_raw='container="c",pod="q",a="1"') == labelled(pod="p", container="c", a="1")
    assert series(a="2", labels_raw='a="1"') == labelled(a="2")
    assert series(**GPU, device="nvidia0", modelName="H100", labels_raw='device="x",gpu="0",__name__="y"') == labelled()
    assert series(job="j", labels_raw='instance="i",DCGM_FI_DRIVER_VERSION="535",empty=""') == labelled()
    assert series(labels_raw='GPU_I_ID="3"') == labelled(GPU_I_ID="3")


def test_the_digest_is_over_sorted_json_in_utf_8() -> None:
    assert labels.digest({"b": "ü", "a": "1"}) == labels.digest({"a": "1", "b": "ü"}) != labels.digest({"a": "1"})
