"""Reads a file as the streamer does and as `verify` does, and asserts that both say the same of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from telemetry.formats.base import Limits
from telemetry.readings.owners import OWNER_LABELS
from telemetry.readings.series import SeriesKey, labels_digest
from telemetry.readings.source_settings import SourceSettings
from telemetry.settings import VOLATILE_LABELS, Settings
from telemetry.streamer.batching import Cutter, Reader
from telemetry.streamer.source import SourceFile
from telemetry.verify import files
from telemetry.verify.formats.base import Rules

RULES = Rules.of(Settings(), datetime(2027, 1, 1, tzinfo=UTC))
READER = Reader(1 << 16, Limits(RULES.floor, RULES.ceiling))


class Said(NamedTuple):
    """A reading: GPU, metric, microseconds, value."""

    gpu: str
    metric: str
    ts_us: int
    value: float


class Whole(NamedTuple):
    """What a file says: its format, its readings, its rows for the quarantine by offset, how many are blank, its series."""

    format: str
    readings: list[Said]
    quarantined: list[tuple[int, str]]
    blank: int
    series: list[SeriesKey]
    miss: str


def both(path: Path, said: SourceSettings, limit: int = 40) -> Whole:
    """What a file says, which streamer and `verify` agree on."""
    source = SourceFile.open(path, max_record=READER.max_record, final=True, settings=said)
    if source is None:
        # It holds no record: both say nothing.
        _verified(path, said, None, ([], [], [], 0))
        return Whole("unknown", [], [], 0, [], "")
    with source:
        batches = list(Cutter(source, READER).batches(source.head.first, limit=limit, room_bytes=1 << 30, now_us=0))
    readings, digests, quarantined = list[Said](), list[bytes](), list[tuple[int, str]]()
    series: dict[str, SeriesKey] = {}
    for batch in batches:
        keys = [SeriesKey.from_text(text) for text in batch.readings.series]
        series |= {key.text(): key for key in keys}
        for code, ts, value in zip(batch.readings.codes, batch.readings.ts_us, batch.readings.values, strict=True):
            key = keys[code]
            readings.append(Said(key.gpu, key.metric, int(ts), float(value)))
            digests.append(labels_digest(key.lasting({*VOLATILE_LABELS, *OWNER_LABELS})))
        quarantined += [(row.offset, row.reason) for row in batch.readings.quarantined]
    blank = sum(batch.readings.blank for batch in batches)
    _verified(path, said, source.head.fingerprint, (readings, digests, quarantined, blank))
    return Whole(source.head.format_name, readings, quarantined, blank, list(series.values()), source.head.miss)


def _verified(
    path: Path, said: SourceSettings, mark: str | None, whole: tuple[list[Said], list[bytes], list[tuple[int, str]], int]
) -> None:
    numbers = files.SeriesNumbers()
    found = files.read(path, replace(RULES, source=said), numbers)
    keys = list(numbers.keys)
    reasons = [files.REASONS[code] for code in found.reasons]
    good = [
        (Said(keys[n].gpu, keys[n].metric, int(ts), float(value)), keys[n].labels)
        for n, ts, value, reason in zip(found.series, found.ts, found.values, reasons, strict=True)
        if not reason
    ]
    bad = [(int(start), reason) for start, reason in zip(found.starts, reasons, strict=True) if reason not in {"", "blank"}]
    # Of lines that are not read the streamer keeps the first alone.
    bad, kept = ([row for row in rows if row[1] != "unknown_format"] for rows in (bad, whole[2]))
    whole = (*whole[:2], kept, whole[3])
    assert ([each for each, _ in good], [digest for _, digest in good], bad, reasons.count("blank")) == whole
    assert found.fingerprint == mark
