"""Files that several processes read, and pools of which is known what they were asked."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from telemetry.formats.base import Limits
from telemetry.readings.extent import Place
from telemetry.readings.payload import pack, unpack
from telemetry.streamer.batching import CutBatch, Cutter, Reader
from telemetry.streamer.parts import Part
from telemetry.streamer.pool import Asked, Pool
from telemetry.streamer.shared import Shared
from telemetry.streamer.source import SourceFile

HEADER = "timestamp,metric_name,gpu_id,uuid,Hostname,value\n"
READER = Reader(1 << 16, Limits(0, 1 << 60))
LIMIT, PART_BYTES = 200, 60_000


def row(second: int, gpu: int = 1, value: str = "") -> str:
    """A line."""
    at = f"2025-07-18T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"
    return f"{at},DCGM_FI_DEV_GPU_UTIL,0,GPU-{gpu},host-1,{value or second}\n"


class Seen(Pool):
    """A pool of which is known what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[Place] = []
        self.behind: Place | None = None

    def ask(self, part: Part) -> Asked | None:
        self.begun.append(part.place)
        self.behind = part.behind
        return super().ask(part)


@contextmanager
def started() -> Iterator[Seen]:
    """A pool. Unlike a command, whoever runs tests has threads when it is forked, which Python 3.12 warns about."""
    with Seen() as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pool.start(2)
        yield pool


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
