"""Headers among the records: nothing is read by a header that is not its own."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from telemetry.formats.base import Limits
from telemetry.formats.headers import header_in, unread_in
from telemetry.progress.window import Window
from telemetry.readings.series import SeriesKey
from telemetry.readings.source_settings import NO_SETTINGS
from telemetry.streamer.batching import UNREAD_BLOCK_BYTES, CutBatch, Cutter, Reader
from telemetry.streamer.source import SourceFile

READER = Reader(1 << 16, Limits(0, 1 << 60))
HEADER = "timestamp,metric_name,gpu_id,uuid,Hostname,value\n"
OTHER = "timestamp,metric_name,value,uuid,Hostname,gpu_id\n"
WIDER = "timestamp,metric_name,gpu_id,uuid,Hostname,value,rack\n"
FOREIGN = "timestamp, index, utilization.gpu [%], power.draw [W]\n"
# Of as many columns as HEADER, with numbers where that has a number.
FITTING = "timestamp,metric_name,gpu_id,uuid,Hostname,power\n"


def row(second: int, last: str = "", value: str = "400") -> str:
    """A row under HEADER, or with `last` under WIDER."""
    return f"2026-11-05T00:00:{second:02}Z,M,3,GPU-c1,node-c,{value}{last}\n"


def other_row(second: int, value: str = "500") -> str:
    """A row under OTHER."""
    return f"2026-11-05T00:00:{second:02}Z,M,{value},GPU-c1,node-c,3\n"


def cut(tmp_path: Path, text: str, limit: int = 100) -> list[CutBatch]:
    """The batches of a file of this text. Each is cut again and is the same; so is what follows a restart behind it."""
    path = tmp_path / "a.csv"
    path.write_text(text)
    source = SourceFile.open(path, max_record=READER.max_record, final=True)
    assert source is not None
    with source:
        batches = list(Cutter(source, READER).batches(source.head.first, limit=limit, room_bytes=1 << 40, now_us=0))
        for n, each in enumerate(batches):
            assert Cutter(source, READER).again(each.extent, now_us=0) is not None
            assert Cutter(source, READER).again(each.extent, now_us=0).batch_id == each.batch_id  # type: ignore[union-attr]
            assert Cutter(source, READER).header_at(each.extent.end) == each.extent.end_header
            place = Window.at(each.extent.next).next
            rest = Cutter(source, READER).batches(place, limit=limit, room_bytes=1 << 40, now_us=0)
            assert [one.batch_id for one in rest] == [one.batch_id for one in batches[n + 1 :]]
        assert batches[-1].extent.end == source.size()
    return batches


def values(batches: list[CutBatch]) -> list[tuple[float, int | None]]:
    """Value and index of the GPU of each reading."""
    return [
        (float(value), SeriesKey.from_text(each.readings.series[code]).index)
        for each in batches
        for code, value in zip(each.readings.codes, each.readings.values, strict=True)
    ]


def reasons(batches: list[CutBatch]) -> list[tuple[int, str]]:
    """Line and reason of each row for the quarantine."""
    return [(row.line, row.reason) for each in batches for row in each.readings.quarantined]


@pytest.mark.parametrize("limit", [1, 3, 100])
@pytest.mark.parametrize("many", [1, 40])
def test_the_header_again_is_no_row(tmp_path: Path, limit: int, many: int) -> None:
    text = HEADER + "".join(row(n) + HEADER for n in range(many)) + '"timestamp", metric_name ,gpu_id,uuid,Hostname,value\r\n'
    found = cut(tmp_path, text, limit)
    assert values(found) == [(400, 3)] * many
    assert reasons(found) == []
    assert sum(each.readings.records for each in found) == many


@pytest.mark.parametrize("limit", [1, 3, 100])
@pytest.mark.parametrize("many", [1, 40])
def test_what_follows_another_header_is_read_by_it(tmp_path: Path, limit: int, many: int) -> None:
    text = HEADER + row(0) * many + OTHER + other_row(1) * many + WIDER + row(2, ",r1") * many + HEADER + row(3) * many
    found = cut(tmp_path, text, limit)
    assert values(found) == [(400, 3)] * many + [(500, 3)] * many + [(400, 3)] * 2 * many
    assert reasons(found) == []


PANDAS = ",timestamp,metric_name,limit,value,uuid,Hostname,gpu_id\n"


@pytest.mark.parametrize("before", ["", "\ufeff", "\0" * 50, "2026-11-05T10:", "2026-11-05T00:00:09Z,M,3,"])
@pytest.mark.parametrize("many", [1, 40])
def test_a_header_is_known_whatever_was_left_before_it(tmp_path: Path, before: str, many: int) -> None:
    found = cut(tmp_path, HEADER + row(0) * many + before + OTHER + other_row(1) * many)
    assert values(found) == [(400, 3)] * many + [(500, 3)] * many
    assert len(reasons(found)) == ("2026" in before)


def test_a_dump_of_a_data_frame_may_be_joined_to_another(tmp_path: Path) -> None:
    first = PANDAS.replace("limit,value", "value,limit")
    found = cut(
        tmp_path,
        first + "0,2026-11-05T00:00:00Z,M,101,400,GPU-c1,n,3\n" + PANDAS + "0,2026-11-05T00:00:01Z,M,400,102,GPU-c1,n,3\n",
    )
    assert values(found) == [(101, 3), (102, 3)]


def test_many_headers_cost_no_more_than_their_lines(tmp_path: Path) -> None:
    text = HEADER + "".join(f"timestamp,metric_name,value,uuid,c{n}\n2026-11-05T00:00:00Z,M,1,GPU-1,x\n" for n in range(300))
    path = tmp_path / "a.csv"
    path.write_text(text)
    with SourceFile.open(path, max_record=READER.max_record, final=True) or pytest.fail("it has rows") as source:
        before = time.process_time()
        found = list(Cutter(source, READER).batches(source.head.first, limit=100, room_bytes=1 << 40, now_us=0))
        assert time.process_time() - before < 10
    assert sum(len(each.readings.codes) for each in found) == 300


@pytest.mark.parametrize("header", [FOREIGN, FITTING])
@pytest.mark.parametrize("limit", [1, 3, 100])
def test_behind_a_header_that_nobody_knows_nothing_is_read(tmp_path: Path, header: str, limit: int) -> None:
    stretch = row(1) + "2026/11/05 10:00:00.123, 0, 92 %, 301.22 W\n\n" + row(2) + "one,two,three\n"
    found = cut(tmp_path, HEADER + row(0) + header + stretch + OTHER + other_row(3), limit)
    assert values(found) == [(400, 3), (500, 3)]
    assert reasons(found) == [(3, "unknown_format")]
    assert sum(each.unread for each in found) == 4


def test_an_unread_stretch_may_be_larger_than_a_block(tmp_path: Path) -> None:
    rows, long = row(1, "," + "x" * 1000) * 2500, "x" * (3 * UNREAD_BLOCK_BYTES) + "\n"
    assert len(rows) > 2 * UNREAD_BLOCK_BYTES
    found = cut(tmp_path, HEADER + row(0) + FOREIGN + rows + long + row(1) + HEADER + row(2))
    assert values(found) == [(400, 3)] * 2
    assert sum(each.unread for each in found) == 2502


@pytest.mark.parametrize(
    "line",
    [
        "node-c,GPU-0a1b2c3d,runtime\n",
        "hello,world,again\n",
        "ERROR: GPU lost, last update failed, retrying\n",
        "validate,runtime,x\n",
        '"timestamp","a\nb","c"\n',
        "timestamp,value\n",
        "2026-11-05T00:00:01Z,M,3,GPU-c1,node-c,oops\n",
        "timestamp,M,3,GPU-c1,node-c,4\n",
        "\n",
        "timestamp,value,value\n",
    ],
)
def test_a_torn_or_odd_line_is_no_header(tmp_path: Path, line: str) -> None:
    found = cut(tmp_path, HEADER + row(0) + line + row(1))
    assert values(found) == [(400, 3)] * 2
    assert sum(each.unread for each in found) == 0


def test_a_header_of_the_quarantine_has_its_line() -> None:
    assert header_in(HEADER.encode(), NO_SETTINGS) is not None
    assert header_in(b"\xff,timestamp,a,b\n", NO_SETTINGS) is None
    stretch = unread_in(f"a,b\n\n{HEADER}x\n".encode(), NO_SETTINGS)
    assert stretch == (5 + len(HEADER), 1, 5)
