"""Reads a file of a format with the streamer's code and with that of `verify`, which must say the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from telemetry.formats.base import Limits
from telemetry.readings.series import SeriesKey
from telemetry.readings.source_settings import SourceSettings
from telemetry.settings import Settings
from telemetry.streamer.batching import Cutter, Reader
from telemetry.streamer.source import SourceFile
from telemetry.verify import files
from telemetry.verify.formats.base import Rules

NODE = SourceSettings(time_zone="UTC", host="node")
RULES = Rules.of(Settings(), datetime(2027, 1, 1, tzinfo=UTC))
# The batches are cut at the time 0: then both believe the same times.
READER = Reader(1 << 16, Limits(RULES.floor, RULES.ceiling))


class Said(NamedTuple):
    """A reading: GPU, metric, microseconds, value."""

    gpu: str
    metric: str
    ts_us: int
    value: float


def read(path: Path, name: str, said: SourceSettings = NODE, limit: int = 40) -> tuple[list[Said], list[tuple[int, str]], int]:
    """The readings of a file of a format, its rows for the quarantine by line, and how many are blank: as both have them.

    Without a name the file may be of any format, or of none.
    """
    source = SourceFile.open(path, max_record=READER.max_record, final=True, settings=said)
    if source is None:
        assert not name
        assert not len(files.read(path, replace(RULES, source=said), files.SeriesNumbers()).starts)
        return [], [], 0
    with source:
        assert source.head.format_name == name or not name, source.head.miss
        cutter = Cutter(source, READER)
        batches = list(cutter.batches(source.head.first, limit=limit, room_bytes=1 << 30, now_us=0))
        for batch in batches:
            again = cutter.again(batch.extent, now_us=0)
            assert again is not None
            assert (again.batch_id, again.readings.blank) == (batch.batch_id, batch.readings.blank)
            assert again.readings.ts_us.tolist() == batch.readings.ts_us.tolist()
            assert again.readings.values.tolist() == batch.readings.values.tolist()
        mark = source.head.fingerprint
    readings, quarantined = list[Said](), list[tuple[int, str]]()
    for batch in batches:
        keys = [SeriesKey.from_text(text) for text in batch.readings.series]
        columns = zip(batch.readings.codes, batch.readings.ts_us, batch.readings.values, strict=True)
        readings += [Said(keys[n].gpu, keys[n].metric, int(ts), float(value)) for n, ts, value in columns]
        quarantined += [(row.line, row.reason) for row in batch.readings.quarantined]
    blank = sum(batch.readings.blank for batch in batches)
    assert sum(batch.readings.records for batch in batches) >= len(quarantined)
    verified(path, said, mark, readings, (blank, len(quarantined) + sum(batch.unread for batch in batches)))
    return readings, quarantined, blank


def verified(path: Path, said: SourceSettings, mark: str, readings: list[Said], counts: tuple[int, int]) -> None:
    """`verify` makes the same of it. `counts` are its blank readings, and its rows that are not read."""
    numbers = files.SeriesNumbers()
    found = files.read(path, replace(RULES, source=said), numbers)
    keys = list(numbers.keys)
    reasons = [files.REASONS[code] for code in found.reasons]
    good = [
        Said(keys[n].gpu, keys[n].metric, int(ts), float(value))
        for n, ts, value, reason in zip(found.series, found.ts, found.values, reasons, strict=True)
        if not reason
    ]
    assert good == readings
    bad = sum(reason not in {"", "blank"} for reason in reasons)
    assert (found.fingerprint, (reasons.count("blank"), bad)) == (mark, counts)


def foreign(path: Path, said: SourceSettings) -> str:
    """Why a file is not read: by the streamer; `verify` does not read it either."""
    source = SourceFile.open(path, max_record=READER.max_record, final=True, settings=said)
    assert source is not None
    with source:
        assert source.head.format is None
        assert files.read(path, replace(RULES, source=said), files.SeriesNumbers()).is_foreign
        return source.head.miss


def written(path: Path, *lines: str) -> Path:
    """A file of these lines."""
    path.write_text("".join(f"{line}\n" for line in lines))
    return path
