"""Several processes read a file as one does: the same batches, whatever stands in it and whoever dies."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from telemetry.formats.base import Limits
from telemetry.readings.extent import Place
from telemetry.readings.payload import pack, unpack
from telemetry.readings.source_settings import SourceSettings
from telemetry.streamer import shared
from telemetry.streamer.batching import CutBatch, Cutter, Reader
from telemetry.streamer.parts import Answer, Part
from telemetry.streamer.pool import Pool
from telemetry.streamer.shared import Shared
from telemetry.streamer.source import SourceFile

HEADER = "timestamp,metric_name,gpu_id,uuid,Hostname,value\n"
OTHER = "timestamp,metric_name,uuid,gpu_id,Hostname,value\n"
SMI = "timestamp, uuid, temperature.gpu, power.draw [W], utilization.gpu [%]\n"
READER = Reader(1 << 16, Limits(0, 1 << 60))
LIMIT, PART_BYTES = 200, 60_000
# The last batch is a short one.
ROWS = 6_050


def row(second: int, gpu: int = 1) -> str:
    at = f"2025-07-18T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"
    return f"{at},DCGM_FI_DEV_GPU_UTIL,0,GPU-{gpu},host-1,{second}\n"


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


class Seen(Pool):
    """A pool of which is known what it was asked."""

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self.count = pool.count
        self.pool = pool
        self.begun: list[Place] = []
        self.behind: Place | None = None

    def read(self, part: Part) -> Future[Answer]:
        self.begun.append(part.place)
        self.behind = part.behind
        return self.pool.read(part)


@contextmanager
def started() -> Iterator[Pool]:
    """A pool. Unlike a command, whoever runs tests has threads when it is forked, which Python 3.12 warns about."""
    with Pool() as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pool.start(2)
        yield pool


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with started() as made:
        yield made


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "PART_BYTES", PART_BYTES)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[str], SourceFile]]:
    sources: list[SourceFile] = []

    def open_(text: str) -> SourceFile:
        path = tmp_path / f"{len(sources)}.csv"
        path.write_text(text)
        source = SourceFile.open(path, max_record=READER.max_record, final=True, settings=SourceSettings(time_zone="UTC"))
        assert source is not None
        sources.append(source)
        return source

    yield open_
    for source in sources:
        source.close()


def steps(cutter: Shared | Cutter, source: SourceFile, room_bytes: int = PART_BYTES) -> Iterator[list[CutBatch]]:
    """The batches of all of a source, step by step, as a stream takes them."""
    place = source.head.first
    while step := list(cutter.batches(place, limit=LIMIT, room_bytes=room_bytes, now_us=0, row_bytes=60)):
        place = step[-1].extent.next
        yield step


def all_of(cutter: Shared | Cutter, source: SourceFile, room_bytes: int = PART_BYTES) -> list[CutBatch]:
    return [batch for step in steps(cutter, source, room_bytes) for batch in step]


def rows_of(batches: list[CutBatch]) -> list[tuple[str, int, float]]:
    """All readings, and behind them the rows of the quarantine, by what goes on the wire."""
    each = [unpack(*pack(batch.readings), blank=batch.readings.blank, records=batch.readings.records) for batch in batches]
    assert [readings.rows for readings in each] == [batch.readings.rows for batch in batches]
    good = [
        (readings.series[code], at, value)
        for readings in each
        for code, at, value in zip(readings.codes, readings.ts_us, readings.values, strict=True)
    ]
    return good + [(bad.reason, bad.offset, bad.line) for readings in each for bad in readings.quarantined]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("room_bytes", [PART_BYTES, PART_BYTES // 7])
def test_several_processes_read_what_one_reads(
    pool: Pool, opened: Callable[[str], SourceFile], name: str, room_bytes: int
) -> None:
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
def test_the_pool_reads_all_of_a_clean_file_but_its_last_lines(
    pool: Pool, opened: Callable[[str], SourceFile], name: str
) -> None:
    source, seen = opened(FILES[name]), Seen(pool)
    batches = all_of(Shared(source, READER, seen, least_bytes=0), source)
    assert [each.batch_id for each in batches] == [each.batch_id for each in all_of(Cutter(source, READER), source)]
    assert batches[-1].extent.first == seen.behind
    assert len(seen.begun) == len(set(seen.begun)) > 5


def test_of_a_small_file_the_pool_reads_nothing(pool: Pool, opened: Callable[[str], SourceFile]) -> None:
    source, seen = opened(FILES["clean"]), Seen(pool)
    assert all_of(Shared(source, READER, seen), source)
    assert not seen.begun


def test_what_is_not_taken_in_turn_ends_the_sharing(pool: Pool, opened: Callable[[str], SourceFile]) -> None:
    source = opened(FILES["clean"])
    made, first = Seen(pool), source.head.first
    cutter = Shared(source, READER, made, least_bytes=0)

    def step() -> CutBatch:
        return next(cutter.batches(first, limit=LIMIT, room_bytes=PART_BYTES, now_us=0, row_bytes=60))

    begun = step()
    asked = len(made.begun)
    assert [step().batch_id for _ in range(3)] == [begun.batch_id] * 3
    assert len(made.begun) == asked


def test_the_bound_on_series_is_that_of_the_source(pool: Pool, opened: Callable[[str], SourceFile]) -> None:
    text = HEADER + "".join(row(n, n // 100) for n in range(ROWS))
    bounded = Reader(READER.max_record, Limits(0, 1 << 60, series=25))
    alone_source, source = opened(text), opened(text)
    alone = all_of(Cutter(alone_source, bounded), alone_source)
    made = Seen(pool)
    batches = all_of(Shared(source, bounded, made, least_bytes=0), source)
    assert made.begun
    assert [each.batch_id for each in batches] == [each.batch_id for each in alone]
    assert [each[:2] for each in rows_of(batches)] == [each[:2] for each in rows_of(alone)]
    assert {row.reason for each in batches for row in each.readings.quarantined} == {"too_many_series"}


def test_a_process_that_dies_leaves_the_rest_to_this_one(
    opened: Callable[[str], SourceFile], caplog: pytest.LogCaptureFixture
) -> None:
    source, before = opened(FILES["clean"]), set(psutil.Process().children())
    with started() as made:
        cutter = Shared(source, READER, made, least_bytes=0)
        batches = []
        for number, step in enumerate(steps(cutter, source)):
            batches += step
            if number == 1:
                for child in set(psutil.Process().children()) - before:
                    child.kill()
        assert not made.count
    assert [each.batch_id for each in batches] == [each.batch_id for each in all_of(Cutter(source, READER), source)]
    assert caplog.text.count("this one reads alone") == 1


def test_the_pool_reads_the_open_file_and_not_what_its_path_leads_to(pool: Pool, opened: Callable[[str], SourceFile]) -> None:
    source = opened(FILES["clean"])
    source.path.unlink()
    source.path.write_text(FILES["clean"].replace("host-1", "host-2"))
    made = Shared(source, READER, pool, least_bytes=0)
    assert all("host-1" in series for series, *_ in rows_of(all_of(made, source)))
