"""Packed files as sources: read once and whole, also those that were read in part before they were packed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from telemetry.settings import Settings
from telemetry.streamer.tick import Streamer
from tests.streamer.edge import HEADER, Edge, append, rows, values
from tests.streamer.packs import PACKERS, pack
from tests.waiting import eventually

ROWS = 35
SIZE = len(HEADER + rows(0, ROWS))
SUFFIXES = sorted(PACKERS)


@pytest.fixture
def edge(settings: Settings, redis_client: redis.Redis, folder: Path) -> Edge:
    """An edge that reads all files of its folder, packed ones as soon as they are there."""
    settings = replace(settings, sources=(str(folder / "*"),), batch_size=10, catch_up_size=10, close_after_s=0.0)
    return Edge(settings, redis_client)


@pytest.fixture
def file(folder: Path) -> Path:
    """A log of 35 rows."""
    path = folder / "gpu.csv"
    path.write_text(HEADER + rows(0, ROWS))
    return path


def until_committed(edge: Edge, streamer: Streamer, path: Path, size: int) -> None:
    """Tick and acknowledge until so much of a source is committed, and its state says that this is all."""

    def done() -> bool:
        streamer.tick(0)
        edge.acknowledge(*edge.fetch())
        return any(s.path == str(path) and s.all_committed and s.window.committed == size for s in edge.states())

    eventually(done)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_packed_file_is_read_once(edge: Edge, file: Path, suffix: str) -> None:
    packed = pack(file, suffix)
    with edge.streamer() as streamer:
        until_committed(edge, streamer, packed, SIZE)
        (stream,) = streamer.streams.values()
        assert (stream.read_up(), streamer.bench.in_use) == (True, 0)
    assert values(edge.published) == list(range(ROWS))
    with edge.streamer() as streamer:
        for _ in range(3):
            streamer.tick(0)
        (stream,) = streamer.streams.values()
        assert (stream.read_up(), stream.idle()) == (True, True)
    assert edge.fetch() == []
    assert [(Path(state.path).name, state.foreign, state.size_bytes) for state in edge.states()] == [(packed.name, False, SIZE)]


def large(count: int) -> str:
    """A file that is not all in the bytes which its head is found in."""
    return HEADER + rows(0, count)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("acked", [0, 2, 7])
@pytest.mark.parametrize("how", ["restarted", "held open", "renamed first"])
def test_a_file_that_was_half_read_goes_on_in_what_it_was_packed_to(
    edge: Edge, file: Path, suffix: str, acked: int, how: str
) -> None:
    text = large(4000)
    file.write_text(text)
    settings = {"batch_size": 400, "catch_up_size": 400}
    with edge.streamer(**settings, window_bytes=1 << 17) as streamer:
        streamer.tick(0)
        batches = edge.fetch()
        edge.acknowledge(*batches[:acked])
        streamer.tick(0)
        if how == "held open":
            pack(file.rename(file.with_name("gpu.csv.1")), suffix)
            file.write_text(HEADER + rows(9000, 9005))
            until_committed(edge, streamer, file.with_name(f"gpu.csv.1{suffix}"), len(text))
    if how == "renamed first":
        renamed = file.rename(file.with_name("gpu.csv.1"))
        with edge.streamer(**settings, window_bytes=1 << 17) as streamer:
            streamer.tick(0)
        pack(renamed, suffix)
    elif how == "restarted":
        pack(file.rename(file.with_name("gpu.csv.1")), suffix)
    file.write_text(HEADER + rows(9000, 9005))
    packed = file.with_name(f"gpu.csv.1{suffix}")
    edge.client.delete(edge.settings.ingest_queue)
    with edge.streamer(**settings, republish_after_s=0.1) as streamer:
        until_committed(edge, streamer, packed, len(text))
        until_committed(edge, streamer, file, file.stat().st_size)
    unique = {batch.batch_id: batch for batch in edge.published}
    assert sorted(values(list(unique.values()))) == [*range(4000), *range(9000, 9005)]
    assert edge.lost() == []
    assert {Path(state.path).name for state in edge.states()} == {"gpu.csv", packed.name}


def test_what_was_written_after_the_last_look_is_in_the_packed_file(edge: Edge, file: Path) -> None:
    with edge.streamer() as streamer:
        until_committed(edge, streamer, file, SIZE)
    append(file, rows(ROWS, 50))
    packed = pack(file)
    with edge.streamer() as streamer:
        until_committed(edge, streamer, packed, len(HEADER + rows(0, 50)))
    assert values(edge.published) == list(range(50))


def test_all_of_it_is_never_said_to_be_committed_before_it_was_unpacked(edge: Edge, file: Path) -> None:
    file.write_text(large(4000))
    with edge.streamer() as streamer:
        until_committed(edge, streamer, file, file.stat().st_size)
    append(file, rows(4000, 4010))
    packed = pack(file)
    with edge.streamer() as streamer:
        streamer.discover([packed])
        (state,) = edge.states()
        assert (state.path, state.all_committed) == (str(packed), False)


def test_a_packed_file_waits_while_it_may_be_written(edge: Edge, file: Path, folder: Path) -> None:
    packed = pack(file, keep=True)
    with edge.streamer(close_after_s=60.0) as streamer:
        streamer.tick(0)
        assert [Path(stream.source.path).name for stream in streamer.streams.values()] == ["gpu.csv"]
    shutil.copy(packed, folder / "copy.csv.gz")
    with edge.streamer() as streamer:
        until_committed(edge, streamer, folder / "copy.csv.gz", SIZE)
    assert len({batch.batch_id for batch in edge.published}) == 4


def test_the_source_of_a_file_that_is_being_packed_is_no_orphan(edge: Edge, file: Path) -> None:
    settings = {"close_after_s": 1.0, "lease_s": 2}
    with edge.streamer(**settings) as streamer:
        streamer.tick(0)
        edge.fetch()
    packed = pack(file)
    with edge.streamer(**settings, republish_after_s=0.1) as streamer:
        until_committed(edge, streamer, packed, SIZE)
    assert edge.lost() == []
    assert [state.path for state in edge.states()] == [str(packed)]


@pytest.mark.parametrize("is_long", [False, True])
def test_a_damaged_file_says_so_and_a_whole_one_in_its_place_is_read(edge: Edge, file: Path, is_long: bool) -> None:
    text = large(4000) if is_long else HEADER + rows(0, ROWS)
    file.write_text(text)
    packed = pack(file)
    whole = packed.read_bytes()
    packed.write_bytes(whole[:-6])
    with edge.streamer() as streamer:

        def told() -> bool:
            streamer.tick(0)
            edge.acknowledge(*edge.fetch())
            return any("gzip data is damaged behind" in state.miss for state in edge.states())

        eventually(told)
        assert [(state.foreign, state.all_committed) for state in edge.states()] == [(True, False)]
        assert values(edge.published) == []
        packed.write_bytes(whole)
        until_committed(edge, streamer, packed, len(text))
    assert values(edge.published) == list(range(4000 if is_long else ROWS))
    assert [state.foreign for state in edge.states()] == [False]


def test_a_damaged_one_of_a_file_half_read_leaves_it_behind(edge: Edge, file: Path) -> None:
    file.write_text(large(4000))
    with edge.streamer(window_bytes=1 << 17) as streamer:
        streamer.tick(0)
        edge.acknowledge(*edge.fetch())
        streamer.tick(0)
        edge.fetch()
    packed = pack(file)
    packed.write_bytes(packed.read_bytes()[:-6])
    with edge.streamer(republish_after_s=0.1) as streamer:
        for _ in range(5):
            streamer.tick(0)
    states = {state.foreign: state for state in edge.states()}
    assert states[False].lag_bytes > 0
    assert (states[True].path, states[True].all_committed) == (str(packed), False)
    assert edge.lost() == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_packed_file_under_another_name_is_the_same(edge: Edge, file: Path, folder: Path, suffix: str) -> None:
    packed = pack(file, suffix)
    with edge.streamer() as streamer:
        until_committed(edge, streamer, packed, SIZE)
        renamed = packed.rename(folder / f"gpu.csv.2{suffix}")
        until_committed(edge, streamer, renamed, SIZE)
        assert streamer.bench.in_use == 0
    assert values(edge.published) == list(range(ROWS))
    assert [state.path for state in edge.states()] == [str(renamed)]


def test_one_that_is_packed_anew_goes_on(edge: Edge, file: Path) -> None:
    file.write_text(large(4000))
    packed = pack(file)
    with edge.streamer() as streamer:
        until_committed(edge, streamer, packed, len(large(4000)))
        with packed.open("ab") as stream:
            stream.write(PACKERS[".gz"](rows(4000, 4010).encode()))
        until_committed(edge, streamer, packed, len(large(4010)))
    assert values(edge.published) == list(range(4010))
