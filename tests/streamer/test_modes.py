"""What is read next: the tail of a file that grows, or a replay that keeps the clock's pace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry.formats.base import Limits
from telemetry.progress.state import Pace
from telemetry.progress.window import Window
from telemetry.streamer.batching import CutBatch, Reader
from telemetry.streamer.modes import Replay, Tail
from telemetry.streamer.source import SourceFile
from tests.streamer.edge import HEADER, rows

READER = Reader(1 << 16, Limits(0, 1 << 60))
SECOND_US = 1_000_000
NOW_US = 1_900_000_000 * SECOND_US


@pytest.fixture
def source(tmp_path: Path) -> Iterator[SourceFile]:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + rows(0, 1000))
    opened = SourceFile.open(path, max_record=READER.max_record, final=True)
    assert opened is not None
    with opened:
        yield opened


def beginning(source: SourceFile) -> Window:
    return Window(source.head.end, source.head.lines + 1)


def read(mode: Tail | Replay, window: Window, now_us: int = NOW_US, unread_bytes: int = 1 << 30) -> list[CutBatch]:
    return list(mode.coming(window, unread_bytes, 1 << 30, now_us))


def test_a_tail_takes_small_batches_at_pace_and_large_ones_when_it_is_behind(source: SourceFile) -> None:
    window, size = beginning(source), source.size()
    at_pace = read(Tail(source, READER, 100, 400, 1 << 30), window, unread_bytes=size - window.end)
    assert [batch.readings.rows for batch in at_pace] == [100] * 10
    behind = read(Tail(source, READER, 5, 400, 1 << 30), window, unread_bytes=size - window.end)
    assert [batch.readings.rows for batch in behind] == [400, 400, 200]


def test_several_batches_fit_into_a_window_however_far_behind_a_tail_is(source: SourceFile) -> None:
    window, window_bytes = beginning(source), 1 << 14
    first, *_ = read(Tail(source, READER, 1, 5000, window_bytes), window, unread_bytes=source.size() - window.end)
    assert first.extent.size_bytes <= window_bytes / 4


def test_a_tail_leaves_what_has_come_meanwhile_to_the_next_step(source: SourceFile) -> None:
    window = beginning(source)
    line_bytes = len(rows(0, 1))
    batches = read(Tail(source, READER, 10, 10, 1 << 30), window, unread_bytes=20 * line_bytes)
    assert [batch.readings.rows for batch in batches] == [10, 10]


def test_a_replay_shows_a_batch_only_when_the_clock_has_come_to_its_end(source: SourceFile) -> None:
    replay = Replay(source, READER, batch_size=10)
    replay.begin(NOW_US)
    window = beginning(source)
    assert read(replay, window, NOW_US + 8 * SECOND_US) == []
    assert replay.holds_back
    (batch,) = read(replay, window, NOW_US + 9 * SECOND_US)
    assert [int(batch.readings.ts_us[n]) - NOW_US for n in (0, -1)] == [0, 9 * SECOND_US]
    assert replay.pace() == Pace(NOW_US, replay.reader.first_us, NOW_US + 9 * SECOND_US)


def test_a_pass_begins_after_the_end_of_the_one_before_whatever_became_of_the_clock(source: SourceFile) -> None:
    replay = Replay(source, READER, batch_size=1000)
    replay.begin(NOW_US)
    assert len(read(replay, beginning(source), NOW_US + 5000 * SECOND_US)) == 1
    replay.begin(NOW_US - 86_400 * SECOND_US)
    assert replay.pace().anchor_us == NOW_US + 999 * SECOND_US + 1


def test_a_replay_goes_on_with_the_pass_it_was_in(source: SourceFile) -> None:
    replay = Replay(source, READER, batch_size=10)
    replay.begin(NOW_US)
    other = Replay(source, READER, batch_size=10)
    other.resume(replay.pace())
    later_us = NOW_US + 30 * SECOND_US
    assert [b.batch_id for b in read(other, beginning(source), later_us)] == [
        b.batch_id for b in read(replay, beginning(source), later_us)
    ]
    assert not Tail(source, READER, 1, 1, 1).pace().anchor_us


def test_a_replay_that_nobody_played_for_a_while_ends_its_pass(source: SourceFile) -> None:
    replay = Replay(source, READER, batch_size=10)
    replay.begin(NOW_US)
    read(replay, beginning(source), NOW_US + 9 * SECOND_US)
    for later_s, is_left_behind in ((9, False), (39, False), (40, True)):
        other = Replay(source, READER, batch_size=10)
        other.resume(replay.pace())
        batches = read(other, beginning(source), NOW_US + later_s * SECOND_US)
        assert (len(batches), other.is_left_behind) == (not is_left_behind, is_left_behind)
        assert other.holds_back or batches
    other.begin(NOW_US + 100 * SECOND_US)
    assert not other.is_left_behind
    assert len(read(other, beginning(source), NOW_US + 200 * SECOND_US)) == 1
