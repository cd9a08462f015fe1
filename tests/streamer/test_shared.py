"""Several processes read a file as one does: the same batches, whatever stands in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from telemetry.formats.base import Limits
from telemetry.streamer import shared
from telemetry.streamer.batching import CutBatch, Cutter
from telemetry.streamer.shared import Shared
from telemetry.streamer.source import SourceFile
from tests.streamer.pools import HEADER, LIMIT, PART_BYTES, READER, Seen, all_of, row, rows_of

OTHER = "timestamp,metric_name,uuid,gpu_id,Hostname,value\n"
SMI = "timestamp, uuid, temperature.gpu, power.draw [W], utilization.gpu [%]\n"
Open = Callable[..., SourceFile]
# The last batch is a short one.
ROWS = 6_050


def dcgm(first: int = 0, last: int = ROWS) -> str:
    return "".join(map(row, range(first, last)))


def smi() -> str:
    return "".join(
        f"2025/07/18 {n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}.000, GPU-1, 40, {n}.50 W, 7 %\n" for n in range(ROWS)
    )


MIDDLE = ROWS // 2
FILES = {
    "clean": HEADER + dcgm(),
    "a last line without an end": HEADER + dcgm() + row(ROWS).rstrip("\n"),
    "an empty line": HEADER + dcgm(0, MIDDLE) + "\n" + dcgm(MIDDLE),
    "a line end in quotes": HEADER + dcgm(0, MIDDLE) + row(1).replace("host-1", '"host\n1"') + dcgm(MIDDLE),
    "a torn line": HEADER + dcgm(0, MIDDLE) + "2025-07-18T00:0\n" + dcgm(MIDDLE),
    "a line that is too long": HEADER + dcgm(0, MIDDLE) + "y" * 100_000 + "\n" + dcgm(MIDDLE),
    "its header again": HEADER + dcgm(0, MIDDLE) + HEADER + dcgm(MIDDLE),
    "another header": HEADER + dcgm(0, MIDDLE) + OTHER + dcgm(MIDDLE).replace(",0,GPU-1,", ",GPU-1,0,"),
    "a log of nvidia-smi": SMI + smi(),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("room_bytes", [PART_BYTES, PART_BYTES // 7])
def test_several_processes_read_what_one_reads(pool: Seen, opened: Open, name: str, room_bytes: int) -> None:
    source = opened(FILES[name])
    made = Shared(source, READER, pool, least_bytes=0)
    batches = all_of(made, source, room_bytes)
    alone = all_of(Cutter(source, READER), source)
    assert rows_of(batches) == rows_of(alone)
    assert [each.extent.first for each in batches[1:]] == [each.extent.next for each in batches[:-1]]
    assert batches[-1].extent.end == source.size()
    for batch in batches:
        again = Cutter(source, READER).again(batch.extent, now_us=0)
        assert again is not None
        assert again.batch_id == batch.batch_id


@pytest.mark.parametrize("name", ["clean", "a log of nvidia-smi"])
def test_the_pool_reads_all_of_a_clean_file_but_its_last_lines(pool: Seen, opened: Open, name: str) -> None:
    source = opened(FILES[name])
    batches = all_of(Shared(source, READER, pool, least_bytes=0), source)
    assert [each.batch_id for each in batches] == [each.batch_id for each in all_of(Cutter(source, READER), source)]
    assert batches[-1].extent.first == pool.behind
    assert len(pool.begun) == len(set(pool.begun)) > 5


def test_of_a_small_file_the_pool_reads_nothing(pool: Seen, opened: Open) -> None:
    source = opened(FILES["clean"])
    assert all_of(Shared(source, READER, pool), source)
    assert not pool.begun


def test_what_is_not_taken_in_turn_ends_the_sharing(pool: Seen, opened: Open) -> None:
    source = opened(FILES["clean"])
    first = source.head.first
    cutter = Shared(source, READER, pool, least_bytes=0)

    def step() -> CutBatch:
        return next(cutter.batches(first, limit=LIMIT, room_bytes=PART_BYTES, now_us=0, row_bytes=60))

    begun = step()
    asked = len(pool.begun)
    assert [step().batch_id for _ in range(3)] == [begun.batch_id] * 3
    assert len(pool.begun) == asked


@pytest.mark.parametrize("value", ["", " "], ids=["values", "blanks"])
def test_the_bound_on_series_is_that_of_the_source(pool: Seen, opened: Open, value: str) -> None:
    """Also where some series have no value, and where a file is opened again."""
    text = HEADER + "".join(row(n, n // 100, value if n // 100 % 2 else "") for n in range(ROWS))
    bounded = replace(READER, limits=Limits(0, 1 << 60, series=25))
    alone_source = opened(text)
    alone = all_of(Cutter(alone_source, bounded), alone_source)
    assert {row.reason for each in alone for row in each.readings.quarantined} == {"too_many_series"}
    for _ in range(2):
        source = opened(text)
        batches = all_of(Shared(source, bounded, pool, least_bytes=0), source)
        assert [each.batch_id for each in batches] == [each.batch_id for each in alone]
        assert rows_of(batches) == rows_of(alone)
    assert pool.begun


def test_the_column_that_makes_the_series_is_known(pool: Seen, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "PART_BYTES", 500_000)
    source = opened(HEADER.replace("\n", ",row\n") + "".join(f"{row(n)[:-1]},{n}\n" for n in range(2 * ROWS)))
    cutter = Shared(source, READER, pool, least_bytes=0)
    assert list(cutter.batches(source.head.first, limit=5000, room_bytes=500_000, now_us=0, row_bytes=60))
    assert pool.begun
    assert source.series_column() == "row"


def test_what_was_too_new_when_it_was_read_is_read_again_when_its_turn_comes(pool: Seen, opened: Open) -> None:
    source = opened(HEADER + dcgm())
    careful = replace(READER, limits=Limits(0, 600_000_000))
    cutter, place, now_us = Shared(source, careful, pool, least_bytes=0), source.head.first, 1_752_796_800_000_000
    batches: list[CutBatch] = []
    # The window is full, and all of the file has passed when it is empty.
    for at_us in (now_us, *[now_us + 86_400_000_000] * ROWS):
        step = list(cutter.batches(place, limit=LIMIT, room_bytes=PART_BYTES // 4, now_us=at_us, row_bytes=60))
        if not step:
            break
        batches += step
        place = step[-1].extent.next
    assert len(pool.begun) > 5
    assert sum(each.readings.rows for each in batches) == ROWS
    assert not any(each.readings.quarantined for each in batches[2:])


def test_a_file_that_grows_is_shared_and_what_is_not_complete_is_left(pool: Seen, opened: Open) -> None:
    source = opened(HEADER + dcgm() + '"2025', final=False)
    place, turns = source.head.first, 0
    cutter, batches = Shared(source, READER, pool, least_bytes=0), list[CutBatch]()
    while step := list(cutter.batches(place, limit=LIMIT, room_bytes=PART_BYTES, now_us=0, row_bytes=60)):
        place, batches, turns = step[-1].extent.next, batches + step, turns + 1
        if turns == 2:
            with source.path.open("a") as file:
                file.write(row(ROWS)[4:].replace("Z", 'Z"', 1) + dcgm(ROWS + 1, 2 * ROWS) + "2025")
    assert place.offset == source.size() - 4
    assert [int(value) for _, _, value in rows_of(batches)] == list(range(2 * ROWS))
    assert len(pool.begun) == len(set(pool.begun)) > 10


def test_a_file_that_changes_is_read_as_it_is_and_others_go_on(pool: Seen, opened: Open) -> None:
    changed, other = opened(HEADER + dcgm()), opened(HEADER + dcgm())
    changed.path.write_text(HEADER + dcgm(1))
    assert all_of(Shared(changed, READER, pool, least_bytes=0), changed)[-1].extent.end == changed.size()
    assert pool.count == 2
    begun = len(pool.begun)
    assert all_of(Shared(other, READER, pool, least_bytes=0), other)
    assert len(pool.begun) > begun + 5


def test_the_pool_reads_the_open_file_and_not_what_its_path_leads_to(pool: Seen, opened: Open) -> None:
    source = opened(FILES["clean"])
    source.path.unlink()
    source.path.write_text(FILES["clean"].replace("host-1", "host-2"))
    made = Shared(source, READER, pool, least_bytes=0)
    assert all("host-1" in series for series, *_ in rows_of(all_of(made, source)))
