"""A streamer and its broker lose their memory together: what was begun is found by what the edge has on its own disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from telemetry.streamer.begun import REASON, Begun
from tests.streamer.edge import HEADER, Edge, append, rows, values
from tests.waiting import eventually


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


def begin(edge: Edge, state_dir: Path) -> None:
    """Let a streamer begin what is there, without an acknowledgement, and lose the broker with it."""
    with edge.streamer(state_dir=str(state_dir)) as streamer:
        streamer.tick(0)
    edge.client.flushdb()
    edge.published.clear()


def test_a_renamed_file_that_no_pattern_matches_is_read_on(edge: Edge, file: Path, state_dir: Path) -> None:
    begin(edge, state_dir)
    file.rename(f"{file}.1")
    with edge.streamer(state_dir=str(state_dir), close_after_s=0.1) as streamer:
        streamer.tick(0)
        batches = edge.fetch()
        assert values(batches) == list(range(35))
        edge.acknowledge(*batches)

        def let_go() -> bool:
            streamer.tick(0)
            return not streamer.streams

        eventually(let_go)
        streamer.tick(0)
        assert not streamer.streams
    assert edge.lost() == []
    assert Begun(replace(edge.settings, state_dir=str(state_dir))).read() == []


def test_one_that_is_gone_is_recorded_as_lost(edge: Edge, file: Path, state_dir: Path) -> None:
    size = file.stat().st_size
    begin(edge, state_dir)
    file.unlink()
    with edge.streamer(state_dir=str(state_dir), close_after_s=0.1, lease_s=0) as streamer:
        streamer.tick(0)
        assert edge.lost() == []

        def told() -> bool:
            streamer.tick(0)
            return edge.lost() == [(len(HEADER), size, REASON)]

        eventually(told)


def test_a_volume_that_is_away_is_waited_for(edge: Edge, file: Path, folder: Path, state_dir: Path) -> None:
    begin(edge, state_dir)
    folder.rename(folder.with_name("away"))
    with edge.streamer(state_dir=str(state_dir), close_after_s=0, lease_s=0) as streamer:
        streamer.tick(0)
        streamer.tick(0)
    folder.with_name("away").rename(folder)
    file.rename(f"{file}.1")
    with edge.streamer(state_dir=str(state_dir)) as streamer:
        streamer.tick(0)
        assert values(edge.fetch()) == list(range(35))
    assert edge.lost() == []


def test_with_the_broker_alive_it_goes_on_where_it_was(edge: Edge, file: Path, state_dir: Path) -> None:
    with edge.streamer(state_dir=str(state_dir)) as streamer:
        streamer.tick(0)
        first, *_ = edge.fetch()
        edge.acknowledge(first)
        streamer.tick(0)
    file.rename(f"{file}.1")
    append(file, HEADER + rows(100, 105))
    with edge.streamer(state_dir=str(state_dir), republish_after_s=0.05) as streamer:
        seen: set[int] = set()

        def all_again() -> bool:
            streamer.tick(0)
            seen.update(values(edge.fetch()))
            return seen == {*range(10, 35), *range(100, 105)}

        eventually(all_again)
    assert edge.lost() == []


@pytest.mark.parametrize("text", ["", "{}", "[[1]]", '[["a"]]'])
def test_what_cannot_be_read_is_nothing(edge: Edge, file: Path, state_dir: Path, text: str) -> None:
    begin(edge, state_dir)
    (note,) = state_dir.iterdir()
    note.write_text(text)
    with edge.streamer(state_dir=str(state_dir)) as streamer:
        streamer.tick(0)
        assert values(edge.fetch()) == list(range(35))
    assert Begun(replace(edge.settings, state_dir=str(state_dir))).read()[0].path == str(file)
