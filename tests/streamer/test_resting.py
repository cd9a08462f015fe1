"""Files that are committed and quiet are let go of, and taken up again when they change; descriptors are never short."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from telemetry import descriptors
from telemetry.progress.rewind import overwrite, rewound
from telemetry.streamer import held
from telemetry.streamer.source import SourceFile
from telemetry.streamer.tick import Streamer
from tests.streamer.edge import HEADER, Edge, append, rows, values
from tests.waiting import eventually

LONG_AGO_S = 3600


@pytest.fixture
def few_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file stays open that is quiet."""
    monkeypatch.setattr(held, "KEPT_OPEN", 0)


@pytest.fixture
def three_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if three files could be open."""
    monkeypatch.setattr(descriptors, "for_files", lambda: 3)


def make(folder: Path, count: int, last_line_end: str = "\n") -> list[Path]:
    """Files of 15 rows each, which were written long ago."""
    paths = [folder / f"{n:02}.csv" for n in range(count)]
    for n, path in enumerate(paths):
        path.write_text((HEADER + rows(100 * n, 100 * n + 15)).removesuffix("\n") + last_line_end)
        age(path)
    return paths


def age(path: Path) -> None:
    """Let a file be old."""
    then_s = time.time() - LONG_AGO_S
    os.utime(path, (then_s, then_s))


def all_committed(edge: Edge, streamer: Streamer, paths: list[Path]) -> Callable[[], bool]:
    """A condition for `eventually`: all of the files is committed."""

    def ticked() -> bool:
        streamer.tick(0)
        edge.acknowledge(*edge.fetch())
        committed = {state.path: state.window.committed for state in edge.states()}
        return all(committed.get(str(path)) == path.stat().st_size for path in paths)

    return ticked


def at_rest(streamer: Streamer, count: int) -> Callable[[], bool]:
    """A condition for `eventually`: so many files rest."""

    def ticked() -> bool:
        streamer.tick(0)
        return len(streamer.rests) == count

    return ticked


@pytest.mark.usefixtures("few_kept")
def test_a_quiet_file_is_let_go_of_and_read_on_when_it_grows(edge: Edge, folder: Path) -> None:
    paths = make(folder, 5)
    with edge.streamer() as streamer:
        eventually(all_committed(edge, streamer, paths))
        eventually(at_rest(streamer, 5))
        assert not streamer.streams
        append(paths[3], rows(315, 320))
        eventually(all_committed(edge, streamer, paths))
        assert [stream.source.path for stream in streamer.streams.values()] == [paths[3]]
        age(paths[3])
        eventually(at_rest(streamer, 5))
    assert sorted(values(edge.published)) == sorted([*(100 * n + m for n in range(5) for m in range(15)), *range(315, 320)])
    assert edge.lost() == []


def test_few_files_stay_open_so_that_they_are_read_on_whatever_becomes_of_their_names(edge: Edge, folder: Path) -> None:
    paths = make(folder, 5)
    with edge.streamer() as streamer:
        eventually(all_committed(edge, streamer, paths))
        streamer.tick(0)
        assert (len(streamer.streams), len(streamer.rests)) == (5, 0)


@pytest.mark.usefixtures("few_kept")
def test_what_changed_a_moment_ago_stays_open(edge: Edge, file: Path, folder: Path) -> None:
    paths = [*make(folder, 2), file]
    with edge.streamer() as streamer:
        eventually(all_committed(edge, streamer, paths))
        eventually(at_rest(streamer, 2))
        assert [stream.source.path for stream in streamer.streams.values()] == [file]


@pytest.mark.usefixtures("few_kept")
@pytest.mark.parametrize("same_head", [True, False])
def test_a_file_that_takes_the_place_of_one_at_rest_is_read(edge: Edge, folder: Path, same_head: bool) -> None:
    (path,) = make(folder, 1)
    with edge.streamer() as streamer:
        eventually(all_committed(edge, streamer, [path]))
        eventually(at_rest(streamer, 1))
        new = path.with_suffix(".new")
        # Of the same size and age.
        new.write_text(HEADER + (rows(0, 1) + rows(201, 215) if same_head else rows(200, 215)))
        age(new)
        assert new.stat().st_size == path.stat().st_size
        new.rename(path)

        def read() -> bool:
            streamer.tick(0)
            edge.acknowledge(*edge.fetch())
            return set(range(201, 215)) <= set(values(edge.published))

        eventually(read)
    assert edge.lost() == []


@pytest.mark.usefixtures("few_kept")
def test_a_file_at_rest_goes_on_under_another_name_and_may_be_deleted(edge: Edge, folder: Path) -> None:
    path, other = make(folder, 2)
    with edge.streamer(close_after_s=0.1, lease_s=2) as streamer:
        eventually(all_committed(edge, streamer, [path, other]))
        eventually(at_rest(streamer, 2))
        other.unlink()
        renamed = path.rename(folder / "renamed.csv")
        append(renamed, rows(15, 20))
        eventually(all_committed(edge, streamer, [renamed]))
        # The other is forgotten.
        eventually(at_rest(streamer, 1))
        assert sorted(values(edge.published)) == [*range(20), *range(100, 115)]
        assert edge.lost() == []


@pytest.mark.usefixtures("few_kept")
def test_a_source_that_was_set_back_while_its_file_rested_is_read_again(edge: Edge, folder: Path) -> None:
    (path,) = make(folder, 1)
    with edge.streamer(close_after_s=0.1) as streamer:
        eventually(all_committed(edge, streamer, [path]))
        eventually(at_rest(streamer, 1))
        # What does not change is not decoded at each look.
        eventually(lambda: at_rest(streamer, 1)() and not streamer.held.resting.unsettled(streamer.claims.documents()))
        (state,) = edge.states()
        (rest,) = streamer.rests
        overwrite(edge.client, edge.keys, edge.settings.edge, rest.source_id, rewound(state, []))
        eventually(all_committed(edge, streamer, [path]))
    assert values(edge.published) == [*range(15), *range(15)]


@pytest.mark.usefixtures("few_kept")
def test_a_broker_that_lost_its_keys_gets_the_files_at_rest_again(edge: Edge, folder: Path) -> None:
    (path,) = make(folder, 1)
    with edge.streamer(close_after_s=0.1) as streamer:
        eventually(all_committed(edge, streamer, [path]))
        eventually(at_rest(streamer, 1))
        edge.client.flushdb()
        eventually(all_committed(edge, streamer, [path]))


@pytest.mark.usefixtures("few_kept")
def test_two_replicas_leave_one_file_at_rest(edge: Edge, folder: Path) -> None:
    paths = make(folder, 4)
    with edge.streamer(lease_s=2, close_after_s=0.1) as one, edge.streamer(lease_s=2, close_after_s=0.1) as two:

        def rest() -> bool:
            for streamer in (one, two):
                streamer.tick(0)
                edge.acknowledge(*edge.fetch())
            return len(one.rests) == len(two.rests) == 4

        eventually(rest, 20)
        published = len(edge.published)
        append(paths[0], rows(15, 20))
        eventually(lambda: rest() and edge.committed(paths[0]) == paths[0].stat().st_size, 20)
        assert len(edge.published) == published + 1


@pytest.mark.usefixtures("three_descriptors")
def test_more_files_than_descriptors_are_all_read(edge: Edge, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = make(folder, 10)
    with edge.streamer() as streamer:
        condition = all_committed(edge, streamer, paths)

        def checked() -> bool:
            done = condition()
            assert len(streamer.streams) <= 3
            return done

        with caplog.at_level(logging.WARNING):
            eventually(checked)
    assert sorted(values(edge.published)) == sorted(100 * n + m for n in range(10) for m in range(15))
    assert [record.levelname for record in caplog.records].count("WARNING") == 1
    assert "7 files wait to be read, as 3 are open" in caplog.text
    assert "ulimit -n" in caplog.text


@pytest.mark.usefixtures("three_descriptors")
def test_files_that_all_grow_take_turns(edge: Edge, folder: Path) -> None:
    paths = make(folder, 10)
    with edge.streamer() as streamer:
        for turn in range(8):
            for n, path in enumerate(paths):
                append(path, rows(100 * n + 15 + turn, 100 * n + 16 + turn))
            streamer.tick(0)
            edge.acknowledge(*edge.fetch())
            streamer.tick(0)
        assert {batch.source.path for batch in edge.published} == {str(path) for path in paths}
        eventually(all_committed(edge, streamer, paths))
    assert sorted(values(edge.published)) == sorted(100 * n + m for n in range(10) for m in range(23))


@pytest.mark.usefixtures("three_descriptors")
def test_a_last_line_without_its_end_keeps_no_other_file_waiting(edge: Edge, folder: Path) -> None:
    paths = make(folder, 8, last_line_end="")

    def read(count: int) -> Callable[[], bool]:
        def ticked() -> bool:
            streamer.tick(0)
            edge.acknowledge(*edge.fetch())
            return len(values(edge.published)) == count

        return ticked

    with edge.streamer() as streamer:
        eventually(read(8 * 14))
        for path in paths:
            append(path, "\n")
        eventually(read(8 * 15))
    assert edge.lost() == []


def test_a_broken_limit_is_noticed_when_files_are_opened(
    edge: Edge, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Others take descriptors, too: what counts is that none is left."""
    paths = make(folder, 6)
    open_file = SourceFile.open

    def short(path: Path, **options: object) -> object:
        if len(streamer.streams) >= 2:
            raise OSError(24, "Too many open files")
        return open_file(path, **options)  # type: ignore[arg-type]

    with edge.streamer() as streamer:
        monkeypatch.setattr(SourceFile, "open", short)
        eventually(all_committed(edge, streamer, paths))
    assert "cannot read" not in caplog.text
