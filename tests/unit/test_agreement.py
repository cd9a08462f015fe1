"""The streamer and `verify` read with different code: here on the same bytes, they must say the same."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.readings.dcgm import Limits
from telemetry.readings.series import SeriesKey, labels_digest
from telemetry.settings import VOLATILE_LABELS, Settings
from telemetry.streamer.cut import Reader, cut
from telemetry.streamer.source import SourceFile
from telemetry.verify import files
from telemetry.verify.meaning import Rules
from tests.strategies import mangled_files

Reading = tuple[str, str, bytes, int, float]
Rows = tuple[list[Reading], int, list[tuple[int, str]]]
SETTINGS = Settings()


def streamed(path: Path, limit: int) -> tuple[Rows, str | None]:
    """What the streamer makes of a file: readings, blank rows, quarantined rows; and its fingerprint."""
    source = SourceFile.open(path, max_record=SETTINGS.max_record_bytes, final=True)
    if source is None:
        return ([], 0, []), None
    limits = Limits(int(SETTINGS.timestamp_floor.timestamp()) * 1_000_000, SETTINGS.future_limit_s * 1_000_000)
    reader = Reader(SETTINGS.max_record_bytes, limits)
    readings: list[Reading] = []
    quarantined: list[tuple[int, str]] = []
    blank, at, line = 0, source.head.end, source.head.lines + 1
    with source:
        while found := cut(source, reader, at, line, limit=limit, now_us=time.time_ns() // 1000):
            again = cut(source, reader, at, line, limit=10**6, now_us=time.time_ns() // 1000, stop=found.end)
            assert again is not None
            assert (again.batch_id, again.end_line) == (found.batch_id, found.end_line)
            assert [row.offset for row in again.readings.quarantined] == [row.offset for row in found.readings.quarantined]
            assert again.readings.rows == found.readings.rows
            one = found.readings
            for code, ts, value in zip(one.codes, one.ts_us, one.values, strict=True):
                key = SeriesKey.from_text(one.series[code])
                readings.append((key.gpu, key.metric, labels_digest(key.lasting(VOLATILE_LABELS)), int(ts), float(value)))
            quarantined += [(row.offset, row.reason) for row in one.quarantined]
            blank += one.blank
            at, line = found.end, found.end_line
        return (readings, blank, quarantined), source.head.fingerprint


def verified(path: Path) -> tuple[Rows, str | None]:
    """What `verify` makes of it."""
    numbers = files.SeriesNumbers()
    found = files.read(path, Rules.of(SETTINGS, datetime.now(UTC)), numbers)
    keys = list(numbers.keys)
    reasons = [files.REASONS[code] for code in found.reasons]
    readings = [
        (keys[n].gpu, keys[n].metric, keys[n].labels, int(ts), float(value))
        for n, ts, value, reason in zip(found.series, found.ts, found.values, reasons, strict=True)
        if not reason
    ]
    quarantined = [
        (int(start), reason) for start, reason in zip(found.starts, reasons, strict=True) if reason not in {"", "blank"}
    ]
    return (readings, reasons.count("blank"), quarantined), found.fingerprint


@settings(max_examples=400, deadline=None)
@given(mangled_files(), st.integers(1, 20))
def test_every_row_is_the_same_to_both(data: bytes, limit: int) -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory, "file.csv")
        path.write_bytes(data)
        assert streamed(path, limit) == verified(path)
