"""Several streamers of one edge: each source with one of them, the sources spread, none left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from telemetry.streamer.membership import Membership, part
from telemetry.streamer.tick import Streamer
from tests.streamer.edge import HEADER, Edge, append, rows, values
from tests.waiting import eventually


def test_replicas_share_the_sources_and_never_publish_one_twice(edge: Edge, folder: Path) -> None:
    for n in range(6):
        folder.joinpath(f"{n}.csv").write_text(HEADER + rows(0, 40).replace("GPU-1", f"GPU-{n}"))
    with edge.streamer(republish_after_s=1000) as one, edge.streamer(republish_after_s=1000) as two:
        one.discover(sorted(folder.glob("[012].csv")))
        for _ in range(3):
            one.tick(0)
            two.tick(0)
        assert len(one.streams) + len(two.streams) == 6
        batches = edge.fetch()
        assert len({batch.batch_id for batch in batches}) == len(batches) == 24


def test_a_silent_replicas_sources_are_taken_over(edge: Edge, file: Path) -> None:
    with edge.streamer(lease_s=2) as silent, edge.streamer(lease_s=2) as other:
        silent.tick(0)
        batches = edge.fetch()
        edge.acknowledge(*batches)
        append(file, rows(35, 45))

        def taken() -> bool:
            other.tick(0)
            return edge.committed(file) == batches[-1].end

        eventually(taken)
        silent.tick(0)
        silent.tick(0)
        assert len(edge.fetch()) == 1
        assert not silent.streams


def make(folder: Path, count: int) -> None:
    for n in range(count):
        folder.joinpath(f"{n:02}.csv").write_text(HEADER + rows(0, 15).replace("GPU-1", f"GPU-{n}"))


def test_a_part_is_never_too_small_for_all() -> None:
    assert [part(20, streamers) for streamers in (1, 2, 3, 30)] == [20, 10, 7, 1]


def test_a_streamer_that_comes_gets_its_part_and_one_that_goes_leaves_it(
    edge: Edge, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("telemetry.streamer.tick.MIN_BUDGET_S", 60.0)
    make(folder, 9)
    with edge.streamer(lease_s=2, republish_after_s=1000) as one:
        one.tick(0)
        assert len(one.streams) == 9
        with edge.streamer(lease_s=2, republish_after_s=1000) as two:

            def shared() -> bool:
                one.tick(0)
                two.tick(0)
                return (len(one.streams), len(two.streams)) in {(5, 4), (4, 5)}

            eventually(shared)
            batches = edge.fetch()
            assert len({batch.batch_id for batch in batches}) == len(batches) == 18
            edge.acknowledge(*batches)
            for path in folder.iterdir():
                append(path, rows(15, 20))
            one.tick(0)
            two.tick(0)
            assert values(edge.fetch()) == [*range(15, 20)] * 9

        def taken_back() -> bool:
            one.tick(0)
            return len(one.streams) == 9

        eventually(taken_back)


def test_sources_that_the_other_does_not_see_are_not_left_alone(edge: Edge, folder: Path) -> None:
    make(folder, 6)
    others = folder / "others"
    others.mkdir()
    others.joinpath("x.csv").write_text(HEADER + rows(0, 15))
    with edge.streamer(lease_s=2) as one, edge.streamer(lease_s=2, sources=(str(others / "*.csv"),)) as two:
        one.tick(0)
        two.tick(0)

        def gave_up(streamer: Streamer = one) -> bool:
            two.tick(0)
            streamer.tick(0)
            return len(streamer.streams) == 3

        def has_all() -> bool:
            two.tick(0)
            one.tick(0)
            return len(one.streams) == 6

        eventually(gave_up)
        eventually(has_all)


def test_who_died_is_counted_no_more_whatever_becomes_of_the_brokers_clock(edge: Edge) -> None:
    streamers = Membership(edge.client, edge.keys, "test/other", 1)
    assert streamers.count() == 1
    assert [streamers.count("one"), streamers.count("two")] == [1, 2]
    edge.client.zadd(edge.keys.streamers("test/other"), {"ahead": 9e15})
    assert streamers.count() == 2
    eventually(lambda: streamers.count("one") == 1)
