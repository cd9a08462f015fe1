"""Times without a date: the operator names the day of the first row, and midnights are counted from there, by both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from telemetry.readings.source_settings import SourceSettings
from telemetry.streamer.batching import Cutter
from telemetry.streamer.source import SourceFile
from tests.examples import examples
from tests.formats import reading
from tests.formats.reading import NODE, READER, foreign, written

DMON = ["#Time         gpu    pwr", "#HH:MM:SS     Idx      W"]
XPU = ["Timestamp, DeviceId, GPU Power (W)"]
DATED = SourceSettings("UTC", "node", date="2026-11-05")
FIRST = datetime(2026, 11, 5, tzinfo=UTC)


def row(moment: datetime, *, is_table: bool = True) -> str:
    """A row of the tools, whose power is the second of the day."""
    second = moment.hour * 3600 + moment.minute * 60 + moment.second
    return f" {moment:%H:%M:%S}       3    {second}" if is_table else f"{moment:%H:%M:%S}.250,    3, {second}"


def times(path: Path, name: str, said: SourceSettings = DATED) -> list[datetime]:
    """The times of a file's readings."""
    readings, quarantined, _ = reading.read(path, name, said)
    assert quarantined == []
    return [datetime.fromtimestamp(each.ts_us // 1_000_000, UTC) for each in readings]


@pytest.mark.parametrize(("name", "header"), [("nvidia-smi-dmon", DMON), ("xpu-smi", XPU)])
def test_a_day_ends_at_midnight(tmp_path: Path, name: str, header: list[str]) -> None:
    moments = [FIRST + timedelta(hours=5 * n, minutes=17) for n in range(20)]
    lines = [line for each in moments for line in (*header, row(each, is_table=header is DMON))]
    assert times(written(tmp_path / "a.txt", *lines), name) == moments


def test_a_clock_that_was_set_back_does_not_end_the_day(tmp_path: Path) -> None:
    moments = [FIRST + timedelta(seconds=n) for n in (86_398, 86_401, 86_399, 86_402, 90_000, 89_000)]
    assert times(written(tmp_path / "a.txt", *DMON, *map(row, moments)), "nvidia-smi-dmon") == moments


def test_a_batch_is_cut_again_with_the_day_that_it_had(tmp_path: Path) -> None:
    moments = [FIRST + timedelta(hours=7 * n) for n in range(50)]
    path = written(tmp_path / "a.txt", *DMON, *map(row, moments))
    opened = [SourceFile.open(path, max_record=READER.max_record, final=True, settings=DATED) for _ in range(2)]
    first, second = (source or pytest.fail("it has rows") for source in opened)
    with first, second:
        batches = list(Cutter(first, READER).batches(first.head.first, limit=7, room_bytes=1 << 30, now_us=0))
        for batch in reversed(batches):
            # By a process that begins in the middle, and by one that has read all of it.
            for source in (second, first):
                again = Cutter(source, READER).again(batch.extent, now_us=0)
                assert again is not None
                assert again.batch_id == batch.batch_id
                assert again.readings.ts_us.tolist() == batch.readings.ts_us.tolist()


@pytest.mark.parametrize(("header", "line"), [(DMON, row(FIRST)), (XPU, row(FIRST, is_table=False))])
def test_without_its_day_it_is_not_read(tmp_path: Path, header: list[str], line: str) -> None:
    lacks = foreign(written(tmp_path / "a.txt", *header, line), NODE)
    assert "date" in lacks
    assert "say so in the file that TELEMETRY_SOURCE_SETTINGS names" in lacks


LINE = st.sampled_from(["# comment", DMON[0], DMON[1], " 12:00", "", " 25:00:00 3 1", " 23:59:60 3 1", ' 06:00:00 "3 1', "x"])


@hypothesis(max_examples=examples(300), deadline=None)
@given(st.lists(st.integers(0, 86_399).map(lambda second: row(FIRST + timedelta(seconds=second))) | LINE, max_size=12))
def test_streamer_and_verify_agree(rows: list[str]) -> None:
    note(repr(rows))
    with TemporaryDirectory() as folder:
        path = written(Path(folder, "a.txt"), *DMON, row(FIRST + timedelta(hours=12)), *rows)
        reading.read(path, "nvidia-smi-dmon", DATED)
