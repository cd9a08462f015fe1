"""A batch is cut again the same, however large it is; and where a replay begins."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from telemetry.formats.base import Limits
from telemetry.streamer.batching import MAX_BLOCK_BYTES, CutBatch, Cutter, Reader, first_timestamp_us
from telemetry.streamer.source import SourceFile

HEADER = "timestamp,metric_name,gpu_id,uuid,Hostname,value,labels_raw\n"
READER = Reader(1 << 16, Limits(0, 1 << 60))


def row(second: int, value: str = "1", padding: int = 0, stamp: str = "") -> str:
    stamp = stamp or f"2025-07-18T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"
    labels = f'"padding=""{"x" * padding}"""' if padding else ""
    return f"{stamp},DCGM_FI_DEV_GPU_UTIL,0,GPU-1,host-1,{value},{labels}\n"


def opened(path: Path, text: str) -> SourceFile:
    path.write_text(text)
    source = SourceFile.open(path, max_record=READER.max_record, final=True)
    assert source is not None
    return source


def all_of(source: SourceFile, limit: int, row_bytes: float) -> list[CutBatch]:
    cutter, size = Cutter(source, READER), source.size()
    return list(cutter.batches(source.head.first, limit=limit, room_bytes=size, now_us=0, row_bytes=row_bytes))


@pytest.mark.parametrize("row_bytes", [600, 2500])
def test_a_batch_of_long_rows_is_cut_again_the_same(tmp_path: Path, row_bytes: float) -> None:
    with opened(tmp_path / "a.csv", HEADER + "".join(row(n, padding=2500) for n in range(6000))) as source:
        found = all_of(source, 5000, row_bytes)
        assert found[-1].extent.end == source.size() > MAX_BLOCK_BYTES
        assert max(each.extent.size_bytes for each in found) <= MAX_BLOCK_BYTES
        for each in found:
            again = Cutter(source, READER).again(each.extent, now_us=0)
            assert again is not None
            assert again.batch_id == each.batch_id


@pytest.mark.parametrize("before", [0, 3])
def test_a_row_longer_than_a_block_is_a_batch_by_itself(tmp_path: Path, before: int) -> None:
    reader = Reader(16 << 20, Limits(0, 1 << 60))
    text = HEADER + "".join(map(row, range(before))) + row(9, padding=8_600_000) + row(10)
    with opened(tmp_path / "a.csv", text) as source:
        found = list(Cutter(source, reader).batches(source.head.first, limit=5000, room_bytes=1 << 30, now_us=0))
        assert [each.readings.rows for each in found] == ([before] if before else []) + [1, 1]
        assert found[-1].extent.end == source.size()
        for each in found:
            again = Cutter(source, reader).again(each.extent, now_us=0)
            assert again is not None
            assert again.batch_id == each.batch_id


@pytest.mark.parametrize("length", [70_000, 200_000, 9 << 20])
def test_a_line_that_is_too_long_is_cut_again_the_same(tmp_path: Path, length: int) -> None:
    with opened(tmp_path / "a.csv", HEADER + row(1) + "y" * length + "\n" + row(2)) as source:
        found = all_of(source, 100, 600)
        assert found[-1].extent.end == source.size()
        assert [row.reason for each in found for row in each.readings.quarantined] == ["too_long"]
        for each in found:
            again = Cutter(source, READER).again(each.extent, now_us=0)
            assert again is not None
            assert (again.batch_id, again.extent) == (each.batch_id, each.extent)


def test_ids_are_those_that_edges_have_in_their_windows(tmp_path: Path) -> None:
    """An edge that is upgraded in the middle of a file must find the batches it has published, unless a version was raised."""
    limits = Limits(946_684_800_000_000, 3_600_000_000)
    known = {
        None: ["faaf6ac34b6d077e1a22d5122b754e5c", "e7e16a5bae97fddcd4f2dde8578b5995"],
        5: ["fe1ae210ed0d4a7bd5ffa4f436d2cbd8", "46b4af99b491942ab6863d48f2a5ea17"],
    }
    with opened(tmp_path / "a.csv", HEADER + "".join(map(row, range(3)))) as source:
        for anchor_us, ids in known.items():
            cutter = Cutter(source, Reader(1 << 16, limits, anchor_us))
            assert cutter.interpretation() == "dcgm/4;floor=946684800000000;future=3600000000;series=100000;record=65536"
            batches = cutter.batches(source.head.first, limit=2, room_bytes=1 << 30, now_us=1_752_871_380_000_000)
            assert [batch.batch_id for batch in batches] == ids


def test_a_file_that_became_shorter_is_not_cut_again(tmp_path: Path) -> None:
    with opened(tmp_path / "a.csv", HEADER + "".join(row(n) for n in range(10))) as source:
        (found,) = islice(all_of(source, 100, 600), 1)
        (tmp_path / "a.csv").write_text("")
        assert Cutter(source, READER).again(found.extent, now_us=0) is None


def test_a_replay_begins_at_the_first_row_that_has_a_time(tmp_path: Path) -> None:
    bad = row(0, stamp="yesterday") + row(0, value="x") + "nothing\n"
    with opened(tmp_path / "a.csv", HEADER + bad * 200 + row(7) + row(3)) as source:
        assert first_timestamp_us(source, READER.max_record) == 1_752_796_807_000_000
    with opened(tmp_path / "b.csv", HEADER + row(0, stamp="yesterday")) as source:
        assert first_timestamp_us(source, READER.max_record) is None
