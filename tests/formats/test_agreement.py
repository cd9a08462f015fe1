"""The streamer and `verify` read with different code: here on the same bytes, they must say the same."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.formats.base import Limits
from telemetry.readings.extent import Place
from telemetry.readings.owners import OWNER_LABELS, owner
from telemetry.readings.rows import Readings
from telemetry.readings.series import SeriesKey, labels_digest
from telemetry.settings import VOLATILE_LABELS, Settings
from telemetry.streamer.batching import CutBatch, Cutter, Reader
from telemetry.streamer.source import SourceFile
from telemetry.verify import files
from telemetry.verify.formats.base import Rules
from tests.examples import examples
from tests.formats.registered import registered
from tests.formats.toy_wide import ToyWide
from tests.formats.toy_wide_reader import ToyWideReader
from tests.strategies import mangled_files, wide_files

Reading = tuple[str, str, bytes, bytes, int, float]
# Readings, blank ones, rows of the quarantine, and lines that are not read: of them the streamer keeps the first.
Rows = tuple[list[Reading], int, list[tuple[int, str]], int]
SETTINGS = Settings()


def streamed(path: Path, limit: int) -> tuple[Rows, str | None]:
    """What the streamer makes of a file, and its fingerprint."""
    source = SourceFile.open(path, max_record=SETTINGS.max_record_bytes, final=True)
    if source is None:
        return ([], 0, [], 0), None
    limits = Limits(int(SETTINGS.timestamp_floor.timestamp()) * 1_000_000, SETTINGS.future_limit_s * 1_000_000)
    cutter = Cutter(source, Reader(SETTINGS.max_record_bytes, limits))
    readings: list[Reading] = []
    quarantined: list[tuple[int, str]] = []
    blank, unread, place = 0, 0, source.head.first
    with source:
        while found := list(islice(batches(cutter, place, limit), 3)):
            for one in found:
                again = cutter.again(one.extent, now_us=time.time_ns() // 1000)
                assert again is not None
                assert replace(again, readings=one.readings) == one
                assert records_of(again.readings) == records_of(one.readings)
                # Not their reasons: an open quote means something else once what follows is out of sight.
                assert [row.offset for row in again.readings.quarantined] == [row.offset for row in one.readings.quarantined]
                assert again.readings.blank == one.readings.blank
                assert one.readings.rows <= limit or one.readings.records == 1
                assert len(one.readings.quarantined) <= one.readings.records
                assert cutter.source.head.format_name != "dcgm" or one.readings.records == one.readings.rows
                readings += records_of(one.readings)
                quarantined += [(row.offset, row.reason) for row in one.readings.quarantined]
                blank, unread = blank + one.readings.blank, unread + one.unread
                assert one.extent.first == place
                place = one.extent.next
        read, first_lines = _apart(quarantined)
        return (readings, blank, read, unread + first_lines), source.head.fingerprint


def batches(cutter: Cutter, place: Place, limit: int) -> Iterator[CutBatch]:
    """What comes next in a file."""
    return cutter.batches(place, limit=limit, room_bytes=1 << 16, now_us=time.time_ns() // 1000)


def records_of(readings: Readings) -> list[Reading]:
    """Readings as a list."""
    keys = [SeriesKey.from_text(text) for text in readings.series]
    lasting = [labels_digest(key.lasting({*VOLATILE_LABELS, *OWNER_LABELS})) for key in keys]
    owners = [labels_digest(owner(key.labels, OWNER_LABELS)) for key in keys]
    columns = zip(readings.codes.tolist(), readings.ts_us.tolist(), readings.values.tolist(), strict=True)
    return [(keys[code].gpu, keys[code].metric, lasting[code], owners[code], ts, value) for code, ts, value in columns]


def verified(path: Path) -> tuple[Rows, str | None]:
    """What `verify` makes of it."""
    numbers = files.SeriesNumbers()
    found = files.read(path, Rules.of(SETTINGS, datetime.now(UTC)), numbers)
    keys = list(numbers.keys)
    reasons = [files.REASONS[code] for code in found.reasons]
    readings = [
        (keys[n].gpu, keys[n].metric, keys[n].labels, keys[n].owner, int(ts), float(value))
        for n, ts, value, reason in zip(found.series, found.ts, found.values, reasons, strict=True)
        if not reason
    ]
    quarantined = [
        (int(start), reason) for start, reason in zip(found.starts, reasons, strict=True) if reason not in {"", "blank"}
    ]
    return (readings, reasons.count("blank"), *_apart(quarantined)), found.fingerprint


def _apart(quarantined: list[tuple[int, str]]) -> tuple[list[tuple[int, str]], int]:
    """The rows of the quarantine but for lines that are not read, and how many these are."""
    read = [(start, reason) for start, reason in quarantined if reason != "unknown_format"]
    return read, len(quarantined) - len(read)


@settings(max_examples=examples(400), deadline=None)
@given(mangled_files(), st.integers(1, 20), st.integers(0, 3))
def test_every_row_is_the_same_to_both(data: bytes, limit: int, repeated: int) -> None:
    # Repeated, its lines are like others before.
    compare(data + data[data.find(b"\n") + 1 :] * repeated, limit)


@settings(max_examples=examples(200), deadline=None)
@given(wide_files(), st.integers(1, 20))
def test_so_is_every_reading_of_a_row_that_has_many(data: bytes, limit: int) -> None:
    with registered(ToyWide, ToyWideReader):
        compare(data, limit)


def compare(data: bytes, limit: int) -> None:
    """Let both read a file of these bytes."""
    with TemporaryDirectory() as directory:
        path = Path(directory, "file.csv")
        path.write_bytes(data)
        assert streamed(path, limit) == verified(path)
