"""What becomes of rows when files are renamed, written anew, cut, or deleted: they are read, or said to be lost."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from telemetry import broker
from telemetry.progress.state import SourceState
from telemetry.streamer.phase import CHANGED, GONE
from telemetry.streamer.tick import Streamer
from tests.streamer.edge import HEADER, Edge, append, commit_all, rows, values
from tests.waiting import eventually


def test_a_renamed_file_goes_on_and_a_copy_is_its_own(edge: Edge, file: Path, folder: Path) -> None:
    with edge.streamer() as streamer:
        commit_all(edge, streamer, file)
        renamed = file.rename(folder / "b.csv")
        append(renamed, rows(35, 40))
        commit_all(edge, streamer, renamed)
        assert values(edge.published) == list(range(40))
        copy = folder / "copy.csv"
        shutil.copy(renamed, copy)
        commit_all(edge, streamer, copy)
        assert values(edge.published) == [*range(40), *range(40)]
        assert len({batch.source.id for batch in edge.published}) == 3
    assert [Path(state.path).name for state in edge.states()] == ["b.csv", "copy.csv"]


def test_what_is_known_is_asked_once_a_round_and_goes_to_one_file_only(
    edge: Edge, file: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with edge.streamer() as streamer:
        commit_all(edge, streamer, file)
    shutil.copy(file.rename(folder / "b.csv"), folder / "c.csv")
    (folder / "other.csv").write_text(HEADER + rows(100, 105))
    with edge.streamer() as streamer:
        looks = []
        known = streamer.claims.sources

        def counted() -> dict[str, SourceState]:
            looks.append(known())
            return looks[-1]

        monkeypatch.setattr(streamer.claims, "sources", counted)
        streamer.discover(sorted(folder.iterdir()))
        assert len(looks) == 1
        streamer.tick(0)
        assert sorted(values(edge.fetch())) == [*range(35), *range(100, 105)]
    assert edge.committed(folder / "b.csv") == (folder / "b.csv").stat().st_size


def test_a_handle_that_became_stale_stops_no_other_file(edge: Edge, file: Path, folder: Path) -> None:
    other = folder / "b.csv"
    other.write_text(HEADER + rows(100, 105))
    with edge.streamer(lease_s=0) as streamer:
        commit_all(edge, streamer, file)
        (source,) = (each.source for each in streamer.streams.values() if each.source.path == file)

        def stale() -> NoReturn:
            raise OSError(errno.ESTALE, "Stale file handle")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(source, "stamp", stale)
            patch.setattr(source, "size", stale)
            patch.setattr(source, "inode", stale)
            append(other, rows(105, 110))
            commit_all(edge, streamer, other)
            assert source not in [each.source for each in streamer.streams.values()]
        append(file, rows(35, 40))
        commit_all(edge, streamer, file)


def truncate_in_place(path: Path, text: str) -> None:
    path.write_text(text)


def replace_by_another(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


@pytest.mark.parametrize("change", [truncate_in_place, replace_by_another])
@pytest.mark.parametrize("length", [20, 35, 60])
def test_a_file_written_anew_is_read_from_its_beginning(
    edge: Edge, file: Path, change: Callable[[Path, str], None], length: int
) -> None:
    with edge.streamer() as streamer:
        commit_all(edge, streamer, file)
        change(file, HEADER + rows(0, 1) + rows(100, 100 + length))
        commit_all(edge, streamer, file)
    assert set(range(100, 100 + length)) <= set(values(edge.published))


def test_a_deleted_file_is_read_to_its_end(edge: Edge, file: Path) -> None:
    file.write_text(HEADER + rows(0, 5000)[:-1])
    with edge.streamer(window_bytes=1 << 16, close_after_s=0.2) as streamer:
        streamer.tick(0)
        file.unlink()

        def drained() -> bool:
            edge.acknowledge(*edge.fetch())
            streamer.tick(0)
            return not streamer.streams

        eventually(drained)
    assert values(edge.published) == list(range(5000))


def settled(edge: Edge, streamer: Streamer, acked: bool = True) -> Callable[[], bool]:
    """A condition for `eventually`: something is recorded as lost."""

    def some() -> bool:
        streamer.tick(0)
        batches = edge.fetch()
        edge.acknowledge(*batches if acked else [each for each in batches if each.start == each.end])
        return bool(edge.lost())

    return some


def test_a_file_written_anew_at_the_same_size_is_read_again(edge: Edge, file: Path) -> None:
    with edge.streamer() as streamer:
        commit_all(edge, streamer, file)
        size = file.stat().st_size
        file.write_text(HEADER + rows(0, 1) + rows(101, 135))
        assert file.stat().st_size == size

        def read_again() -> bool:
            streamer.tick(0)
            edge.acknowledge(*edge.fetch())
            return set(range(101, 135)) <= set(values(edge.published))

        eventually(read_again)
    assert edge.lost() == []


def test_who_writes_on_after_a_rotation_is_read_on(edge: Edge, file: Path) -> None:
    torn = rows(35, 36)
    with file.open("a") as writing, edge.streamer() as streamer:
        writing.write(torn[:-4])
        writing.flush()
        streamer.tick(0)
        file.rename(file.with_suffix(".1"))
        file.write_text(HEADER + rows(200, 210))
        for _ in range(5):
            streamer.tick(0)
        edge.acknowledge(*edge.fetch())
        assert sorted(values(edge.published)) == [*range(35), *range(200, 210)]
        writing.write(torn[-4:] + rows(36, 50))
        writing.flush()
        streamer.tick(0)
        assert values(edge.fetch()) == list(range(35, 50))


def test_a_torn_last_line_is_read_once_a_rotated_file_was_quiet(edge: Edge, file: Path) -> None:
    append(file, rows(35, 36)[:-1])
    with edge.streamer(close_after_s=0.3) as streamer:
        streamer.tick(0)
        file.rename(file.with_suffix(".1"))
        streamer.tick(0)
        streamer.tick(0)
        assert values(edge.fetch()) == list(range(35))

        def let_go() -> bool:
            streamer.tick(0)
            edge.acknowledge(*edge.fetch())
            return not streamer.streams

        edge.acknowledge(*edge.published)
        eventually(let_go)
    assert values(edge.published) == list(range(36))
    assert edge.states()[0].all_committed
    assert edge.lost() == []


def test_a_file_that_begins_the_same_waits_until_the_one_it_replaces_is_read(edge: Edge, file: Path) -> None:
    file.write_text(HEADER + rows(0, 3000))
    with edge.streamer(window_bytes=1 << 16) as streamer:
        streamer.tick(0)
        replace_by_another(file, HEADER + rows(0, 1) + rows(5000, 5010))
        commit_all(edge, streamer, file)
    assert set(values(edge.published)) == {*range(3000), *range(5000, 5010)}
    assert edge.lost() == []


def test_a_longer_copy_takes_the_place_of_one_that_ends_with_half_a_line(edge: Edge, file: Path) -> None:
    """As rsync makes them of a file that grows: each is another file, as old as what it is a copy of."""
    whole = file.read_text() + rows(35, 60)
    with edge.streamer(close_after_s=0.2) as streamer:
        for cut in (len(whole) // 2, 3 * len(whole) // 4, len(whole) - 5):
            replace_by_another(file, whole[:cut])
            records = whole[:cut].count("\n") - 1

            def is_read(records: int = records) -> bool:
                streamer.tick(0)
                edge.acknowledge(*edge.fetch())
                return len(values(edge.published)) == records

            eventually(is_read)
        replace_by_another(file, whole)
        commit_all(edge, streamer, file)
    assert values(edge.published) == list(range(60))
    assert edge.lost() == []


def test_what_is_cut_away_unread_is_lost_and_said_so(edge: Edge, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.write_text(HEADER + rows(0, 3000))
    size = file.stat().st_size
    with edge.streamer(window_bytes=1 << 16) as streamer:
        streamer.tick(0)
        batches = edge.fetch()
        file.write_text(HEADER + rows(5000, 5010))
        streamer.tick(0)
        assert edge.lost() == []
        edge.acknowledge(*batches)
        eventually(settled(edge, streamer))
        commit_all(edge, streamer, file)
    # A question, which has no bytes, may stand behind them.
    assert edge.lost() == [(max(batch.end for batch in batches), size, CHANGED.reason)]
    assert "LOST" in caplog.text
    assert values(edge.published)[-10:] == list(range(5000, 5010))
    assert [state.size_bytes for state in edge.states()] == [file.stat().st_size]


def test_what_was_cut_away_in_flight_is_lost_only_when_it_would_have_to_come_again(edge: Edge, file: Path) -> None:
    size = file.stat().st_size
    with edge.streamer(republish_after_s=0.1) as streamer:
        streamer.tick(0)
        first, *lost = edge.fetch()
        edge.acknowledge(first)
        file.write_text("")
        eventually(settled(edge, streamer, acked=False))
    assert edge.lost() == [(first.end, size, CHANGED.reason)]
    assert lost[0].start == first.end


@pytest.mark.parametrize("acknowledged", [True, False])
def test_a_file_deleted_while_nobody_had_it_open_is_lost(edge: Edge, file: Path, acknowledged: bool) -> None:
    file.write_text(HEADER + rows(0, 3000))
    size = file.stat().st_size
    with edge.streamer(window_bytes=1 << 16) as streamer:
        streamer.tick(0)
    batches = edge.fetch()
    if acknowledged:
        edge.acknowledge(*batches)
    file.unlink()
    (before,) = edge.states()
    with edge.streamer(close_after_s=0.2, republish_after_s=0.1, lease_s=1) as streamer:
        streamer.tick(0)
        assert edge.lost() == []
        if not acknowledged:
            eventually(lambda: ticked(streamer).streams)
            next(iter(streamer.streams.values())).renew(0)
            assert all(
                getattr(state, name) == getattr(before, name)
                for state in edge.states()
                for name in ("foreign", "first_record", "inode")
            )
        eventually(settled(edge, streamer, acked=False))
        eventually(lambda: not edge.states())
    start = batches[-1].end if acknowledged else batches[0].start
    assert min(edge.lost())[0] == start
    assert max(edge.lost())[1:] == (size, GONE.reason)


def test_a_volume_that_is_away_for_a_moment_loses_nothing(edge: Edge, file: Path, folder: Path) -> None:
    with edge.streamer(window_bytes=1 << 16) as streamer:
        streamer.tick(0)
    away = folder.rename(folder.with_name("away"))
    with edge.streamer(close_after_s=1000) as streamer:
        streamer.tick(0)
        away.rename(folder)
        commit_all(edge, streamer, file)
    assert edge.lost() == []


def ticked(streamer: Streamer) -> Streamer:
    streamer.tick(0)
    return streamer


def test_what_a_file_grew_by_while_there_was_no_room_is_read_after_it_was_deleted(edge: Edge, folder: Path) -> None:
    mine, other = folder / "mine.csv", folder / "other.csv"
    mine.write_text(HEADER + rows(0, 10))
    with edge.streamer(edge_bytes=1 << 16, close_after_s=0.1) as streamer:
        commit_all(edge, streamer, mine)
        other.write_text(HEADER + rows(0, 5000).replace("GPU-1", "GPU-2"))
        eventually(lambda: sum(each.window.span for each in ticked(streamer).streams.values()) >= 1 << 16)
        append(mine, rows(10, 20))
        mine.unlink()
        quiet_until_s = time.monotonic() + 0.3
        eventually(lambda: ticked(streamer) and time.monotonic() > quiet_until_s)
        edge.acknowledge(*edge.fetch())
        commit_all(edge, streamer, other)
        eventually(lambda: len(ticked(streamer).streams) == 1)
    assert values([batch for batch in edge.published if batch.source.path == str(mine)]) == list(range(20))
    assert edge.lost() == []


@pytest.mark.parametrize("becomes", [HEADER, "", "other bytes\n"])
def test_what_was_not_read_of_a_foreign_file_is_not_lost(edge: Edge, file: Path, becomes: str) -> None:
    records = rows(0, 35)
    file.write_text(records)
    with edge.streamer() as streamer:
        streamer.tick(0)
        edge.acknowledge(*edge.fetch())
        streamer.tick(0)
        (state,) = edge.states()
        assert (state.foreign, state.lag_bytes) == (True, 0)
        # As a person does who puts the header in front.
        file.write_text(becomes + (records if becomes == HEADER else ""))
        for _ in range(4):
            streamer.tick(0)
            edge.acknowledge(*edge.fetch())
    assert edge.lost() == []
    if becomes == HEADER:
        assert values(edge.published) == list(range(35))


def test_when_a_file_changed_last_is_known(edge: Edge, file: Path) -> None:
    long_ago_s = time.time() - 1000
    os.utime(file, (long_ago_s, long_ago_s))
    with edge.streamer() as streamer:
        commit_all(edge, streamer, file)
        (quiet,) = edge.states()
        now_us = broker.now_us(edge.client)
        assert now_us - quiet.changed_us == pytest.approx(1000e6, abs=60e6)
        assert not quiet.is_growing(now_us, 60)
        append(file, rows(35, 40))
        commit_all(edge, streamer, file)
        (grown,) = edge.states()
        assert grown.changed_us >= now_us
        assert grown.all_committed
        assert grown.is_growing(broker.now_us(edge.client), 60)
