"""How a stream of a file begins: anew, or where the state of a file of the same content ends."""

from __future__ import annotations

import shutil
from pathlib import Path

from telemetry.settings import Settings
from telemetry.streamer.tick import Streamer
from tests.streamer.edge import HEADER, Edge, append, commit_all, rows, values


def take(streamer: Streamer, path: Path) -> dict[str, int]:
    """Open one path; where each open source begins to read, by its name."""
    streamer.discover([path])
    return {stream.source.path.name: stream.window.committed for stream in streamer.streams.values()}


def test_a_new_file_begins_at_its_first_record(edge: Edge, file: Path) -> None:
    with edge.streamer() as streamer:
        assert take(streamer, file) == {"a.csv": len(HEADER)}


def test_a_renamed_file_goes_on_and_leaves_nothing_under_its_old_name(edge: Edge, file: Path, folder: Path) -> None:
    with edge.streamer() as streamer:
        commit_all(edge, streamer, file)
    size = file.stat().st_size
    renamed = file.rename(folder / "b.csv")
    append(renamed, rows(35, 40))
    with edge.streamer() as streamer:
        assert take(streamer, renamed) == {"b.csv": size}
        commit_all(edge, streamer, renamed)
    assert [state.path for state in edge.states()] == [str(renamed)]
    assert values(edge.published) == list(range(40))


def test_a_copy_is_a_source_of_its_own(edge: Edge, file: Path, folder: Path) -> None:
    with edge.streamer() as streamer:
        commit_all(edge, streamer, file)
        copy = Path(shutil.copy(file, folder / "copy.csv"))
        assert take(streamer, copy)["copy.csv"] == len(HEADER)


def test_a_renamed_file_waits_while_another_streamer_works_on_it(edge: Edge, file: Path, folder: Path) -> None:
    with edge.streamer() as one, edge.streamer() as two:
        take(one, file)
        renamed = file.rename(folder / "b.csv")
        assert take(two, renamed) == {}


def test_the_mode_follows_the_settings(edge: Edge, file: Path, settings: Settings) -> None:
    with edge.streamer(loop_mode=True) as streamer:
        take(streamer, file)
        (stream,) = streamer.streams.values()
        assert stream.mode.replays
        assert stream.source.final, "a file that is replayed does not grow"
