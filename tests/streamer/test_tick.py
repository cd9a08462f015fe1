"""The window protocol on a real broker: what is published, when, and what survives."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import kombu.exceptions
import pytest
import redis
from msgspec.structs import replace
from prometheus_client import generate_latest

from telemetry import broker
from telemetry.monitoring.counters import definitions
from telemetry.progress import reading
from telemetry.progress.claims import Claims, Saved
from telemetry.progress.reading import Signals
from telemetry.progress.state import Inode, encode
from telemetry.progress.window import MAX_FLIGHTS
from telemetry.readings import wire
from telemetry.streamer import modes
from telemetry.streamer.again import MAX_IN_A_STEP
from telemetry.streamer.queue_watch import EMPTY_S
from telemetry.streamer.tick import MAX_ASKED, MAX_COPIES, budget_s
from tests.scrape import parse, total
from tests.streamer.edge import HEADER, Edge, append, commit_all, rows, values
from tests.waiting import eventually

Messages = Iterable[tuple[dict[str, Any], bytes]]


def test_what_is_complete_is_published_in_batches(edge: Edge, file: Path) -> None:
    with file.open("a") as writing, edge.streamer() as streamer:
        writing.write(rows(35, 36)[:-5])
        writing.flush()
        streamer.tick(0)
        batches = edge.fetch()
        assert [batch.readings.rows for batch in batches] == [10, 10, 10, 5]
        assert values(batches) == list(range(35))
        assert [batch.first_line for batch in batches] == [2, 12, 22, 32]
        writing.write(rows(35, 36)[-5:])
        writing.flush()
        streamer.tick(0)
        assert values(edge.fetch()) == [35]


def test_only_the_contiguous_prefix_is_committed(edge: Edge, file: Path) -> None:
    with edge.streamer() as streamer:
        streamer.tick(0)
        first, second, third, fourth = edge.fetch()
        edge.acknowledge(second, fourth)
        streamer.tick(0)
        assert edge.committed(file) == len(HEADER)
        edge.acknowledge(first)
        streamer.tick(0)
        assert edge.committed(file) == second.end
        edge.acknowledge(third)
        streamer.tick(0)
        assert edge.committed(file) == file.stat().st_size
        assert not edge.client.exists(edge.keys.acks(edge.settings.edge, first.source.id))


def test_a_dead_centre_stops_the_edge_at_the_window_and_nothing_is_copied(edge: Edge, file: Path) -> None:
    file.write_text(HEADER + rows(0, 5000))
    with edge.streamer(window_bytes=1 << 16, republish_after_s=0.1) as streamer:
        streamer.tick(0)
        for _ in range(30):
            streamer.tick(0.02)
        published = [batch.batch_id for batch in edge.fetch() if batch.end > batch.start]
        assert 90 < len(published) == len(set(published)) < 130
        edge.acknowledge(*edge.published)
        commit_all(edge, streamer, file)
    assert values(edge.published) == list(range(5000))


def test_a_wide_window_is_filled_block_by_block(edge: Edge, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telemetry.streamer.next_batches.MAX_BLOCK_BYTES", 1 << 14)
    file.write_text(HEADER + rows(0, 1000))
    with edge.streamer() as streamer:
        streamer.tick(0)
        first = edge.fetch()
        assert 1 << 14 <= sum(batch.end - batch.start for batch in first) < 1 << 15
        streamer.tick(60)
        assert values(first + edge.fetch()) == list(range(1000))


def test_the_budget_of_the_edge_is_shared(edge: Edge, folder: Path) -> None:
    for name in "abc":
        folder.joinpath(f"{name}.csv").write_text(HEADER + rows(0, 2000).replace("GPU-1", f"GPU-{name}"))
    with edge.streamer(edge_bytes=1 << 16) as streamer:
        for _ in range(5):
            streamer.tick(0.02)
        batches = edge.fetch()
        assert sum(batch.end - batch.start for batch in batches) < (1 << 16) + 2000
        commit_all(edge, streamer, folder / "a.csv")
        edge.acknowledge(*batches)
        for name in "abc":
            commit_all(edge, streamer, folder / f"{name}.csv")


def test_a_restart_goes_on_where_the_window_was(edge: Edge, file: Path) -> None:
    with edge.streamer() as streamer:
        streamer.tick(0)
    batches = edge.fetch()
    edge.acknowledge(*batches[:2])
    with edge.streamer() as streamer:
        streamer.tick(0)
        assert edge.fetch() == []
        assert edge.committed(file) == batches[1].end


def test_a_crash_before_publishing_publishes_the_same_batches(edge: Edge, file: Path) -> None:
    """Killed between saving the window and publishing: the next streamer finds the queue empty and the batches old."""
    with edge.streamer() as streamer:

        def crash(messages: Messages) -> None:
            raise kombu.exceptions.OperationalError("the process was killed here")

        streamer.held.publish = crash
        with pytest.raises(kombu.exceptions.OperationalError):
            streamer.tick(0)
    with edge.streamer(republish_after_s=0.1) as streamer:
        commit_all(edge, streamer, file)
    assert sorted(values(edge.published)) == list(range(35))


def test_a_failed_publish_is_made_up_for_by_the_next_tick(edge: Edge, file: Path) -> None:
    with edge.streamer() as streamer:
        working, calls = streamer.held.publish, 0

        def flaky(messages: Messages) -> None:
            nonlocal calls
            calls += 1
            if calls == 1:
                working([*messages][:1])
                raise kombu.exceptions.OperationalError("the broker is away")
            working(messages)

        streamer.held.publish = flaky
        with pytest.raises(kombu.exceptions.OperationalError):
            streamer.tick(0)
        streamer.tick(0)
        # What was published before the error is published again.
        assert sorted(values(edge.fetch())) == sorted([*range(10), *range(35)])


def test_lost_messages_come_again_with_the_same_ids(edge: Edge, file: Path) -> None:
    with edge.streamer(republish_after_s=0.1) as streamer:
        streamer.tick(0)
        lost = edge.fetch()
        commit_all(edge, streamer, file)
    assert named(edge.published[len(lost) :]) == named(lost)


def named(batches: list[wire.Batch]) -> set[tuple[str, int]]:
    """Batches, not probes, by id and time."""
    return {(batch.batch_id, batch.published_at_us) for batch in batches if batch.end > batch.start}


def test_losing_every_key_costs_a_copy_not_a_row(edge: Edge, file: Path) -> None:
    with edge.streamer(republish_after_s=1000) as streamer:
        streamer.tick(0)
        edge.client.flushdb()
        append(file, rows(35, 50))
        commit_all(edge, streamer, file)
    assert sorted(values(edge.published)) == list(range(50))


def test_a_streamer_that_lost_everything_reads_again(edge: Edge, file: Path) -> None:
    with edge.streamer() as streamer:
        commit_all(edge, streamer, file)
    edge.client.flushdb()
    with edge.streamer() as streamer:
        commit_all(edge, streamer, file)
    first, second = edge.published[:4], edge.published[4:]
    assert [batch.batch_id for batch in first] == [batch.batch_id for batch in second]


def test_a_foreign_file_is_one_quarantined_row(edge: Edge, folder: Path) -> None:
    photo = folder / "photo.csv"
    photo.write_bytes(b"\xff\xd8\xff\xe0\0JFIF\nmore\nand more")
    with edge.streamer() as streamer:
        streamer.tick(0)
        streamer.tick(0)
        (batch,) = edge.fetch()
        edge.acknowledge(batch)
        streamer.tick(0)
    assert [(row.reason, row.raw) for row in batch.readings.quarantined] == [("unknown_format", b"\xff\xd8\xff\xe0\0JFIF")]
    assert edge.states()[0].foreign


def test_a_line_without_end_is_one_row_and_does_not_fill_the_memory(edge: Edge, file: Path) -> None:
    with file.open("ab") as writing:
        for _ in range(20):
            writing.write(b"x" * (1 << 20))
        writing.write(b"\n" + rows(35, 36).encode())
    with edge.streamer() as streamer:
        commit_all(edge, streamer, file)
    (bad,) = (row for batch in edge.published for row in batch.readings.quarantined)
    assert (bad.reason, bad.line, len(bad.raw)) == ("too_long", 37, 1 << 16)
    assert values(edge.published) == list(range(36))


def test_a_replay_moves_the_file_to_now_again_and_again(edge: Edge, folder: Path) -> None:
    path = folder / "a.csv"
    path.write_text(HEADER + rows(0, 2) + rows(0, 2).replace("GPU_UTIL", "GPU_TEMP"))
    with edge.streamer(loop_mode=True, batch_size=2) as streamer:
        begun_us = broker.now_us(edge.client)

        def three_passes() -> bool:
            before = len(edge.published)
            streamer.tick(0)
            edge.acknowledge(*edge.fetch())
            assert len(edge.published) - before <= 1
            return len(edge.published) >= 6

        eventually(three_passes, 20)
        ended_us = broker.now_us(edge.client)
    anchors = sorted({batch.source.anchor or 0 for batch in edge.published})
    assert len(anchors) >= 3
    assert begun_us <= anchors[0]
    for batch in edge.published:
        assert batch.source.anchor is not None
        assert [int(ts) - batch.source.anchor for ts in batch.readings.ts_us] == [0, 1_000_000]
        assert batch.readings.ts_us.max() <= ended_us
    assert all(after - before > 1_000_000 for before, after in pairwise(anchors))


def test_a_replay_goes_on_after_a_restart(edge: Edge, folder: Path) -> None:
    path = folder / "a.csv"
    path.write_text(HEADER + rows(0, 1) * 4)
    with edge.streamer(loop_mode=True, batch_size=2) as streamer:
        streamer.tick(0)
    with edge.streamer(loop_mode=True, batch_size=2) as streamer:
        streamer.tick(0)
    one, two = edge.fetch()
    assert one.source.anchor == two.source.anchor
    assert one.end == two.start


def test_a_replay_begins_again_at_now_after_a_long_break(edge: Edge, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "a.csv"
    path.write_text(HEADER + rows(0, 1) * 4)
    with edge.streamer(loop_mode=True, batch_size=2) as streamer:
        streamer.tick(0)
    monkeypatch.setattr(modes, "LEFT_BEHIND_US", 0)
    with edge.streamer(loop_mode=True, batch_size=2) as streamer:
        streamer.tick(0)
        (before,) = edge.fetch()
        edge.acknowledge(before)
        streamer.tick(0)
        streamer.tick(0)
    after = edge.fetch()[-1]
    assert after.start == before.start
    assert after.source.anchor is not None
    assert before.source.anchor is not None
    assert after.source.anchor > before.source.anchor


def test_a_replay_that_waits_goes_on_waiting_after_a_restart(
    edge: Edge, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = folder / "a.csv"
    path.write_text(HEADER + rows(0, 1) + rows(9000, 9001))
    anchors = set()
    for _ in range(2):
        with edge.streamer(loop_mode=True, batch_size=1, republish_after_s=1000) as streamer:
            for _ in range(3):
                streamer.tick(0)
                edge.acknowledge(*edge.fetch())
            anchors |= {state.anchor_us for state in edge.states()}
    assert values(edge.published) == [0]
    assert len(anchors) == 1
    assert "waits 2.5 hours" in caplog.text


def test_what_is_appended_while_a_tick_works_is_for_the_next_one(edge: Edge, file: Path) -> None:
    with edge.streamer() as streamer:
        commit_all(edge, streamer, file)
        publish, before = streamer.held.publish, len(edge.published)
        (stream,) = streamer.streams.values()
        appended = iter(range(36, 40))

        def slow(messages: Messages) -> None:
            publish(messages)
            for n in islice(appended, 1):
                append(file, rows(n, n + 1))

        stream.outbox.publish = slow
        append(file, rows(35, 36))
        streamer.tick(1)
        edge.fetch()
        assert values(edge.published[before:]) == [35]


def test_a_replay_waits_for_no_row_that_lies_further_ahead_than_a_month(edge: Edge, folder: Path) -> None:
    far = rows(1, 2).replace("2025-07-18", "2026-07-18")
    (folder / "a.csv").write_text(HEADER + rows(0, 1) + far + rows(0, 1))
    with edge.streamer(loop_mode=True, batch_size=3) as streamer:
        streamer.tick(0)
    (batch,) = edge.fetch()
    assert [(row.line, row.reason) for row in batch.readings.quarantined] == [(3, "too_new")]
    assert values([batch]) == [0, 0]


def test_copies_are_few_a_tick_and_only_once_the_queue_was_empty_for_long(edge: Edge, folder: Path) -> None:
    for n in range(4):
        folder.joinpath(f"{n}.csv").write_text(HEADER + rows(0, 80).replace("GPU-1", f"GPU-{n}"))
    with edge.streamer(republish_after_s=0.1) as streamer:
        streamer.tick(0)
        lost = [each for each in edge.fetch() if each.end > each.start]
        assert len(lost) == 32
        begun = time.monotonic()

        def come_again() -> int:
            streamer.tick(0.3)
            return len([each for each in edge.fetch() if each.end > each.start])

        assert eventually(come_again) == MAX_COPIES
        assert time.monotonic() - begun >= EMPTY_S
        assert eventually(come_again) == len(lost) - MAX_COPIES


def test_what_another_broker_swallowed_is_published_again_in_one_tick(edge: Edge, folder: Path) -> None:
    for n in range(4):
        folder.joinpath(f"{n}.csv").write_text(HEADER + rows(0, 200).replace("GPU-1", f"GPU-{n}"))
    with edge.streamer(batch_size=2) as streamer:
        streamer.tick(0)
        swallowed = {batch.batch_id for batch in edge.fetch() if batch.end > batch.start}
        assert len(swallowed) > 4 * MAX_IN_A_STEP
        edge.client.set(edge.keys.epoch(), "another")
        streamer.tick(10)
        assert {batch.batch_id for batch in edge.fetch() if batch.end > batch.start} == swallowed


def test_a_window_has_only_so_many_batches(edge: Edge, file: Path) -> None:
    file.write_text(HEADER + rows(0, MAX_FLIGHTS + 10))
    with edge.streamer(batch_size=1, catch_up_size=1, republish_after_s=1000) as streamer:
        streamer.tick(0)
        streamer.tick(0)
        assert len(edge.fetch()) == MAX_FLIGHTS
        edge.acknowledge(*edge.published)
        streamer.tick(0)
        assert len(edge.fetch()) == 10


def test_what_goes_wrong_with_one_source_does_not_stop_the_others(
    edge: Edge, file: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    later = folder / "b.csv"
    later.write_text(HEADER + rows(0, 20))
    with edge.streamer(lease_s=2) as streamer:
        working = streamer.held.publish

        def refusing(messages: Messages) -> None:
            found = list(messages)
            if any(header["source"]["path"] == str(file) for header, _ in found):
                raise ZeroDivisionError("a bug")
            working(found)

        streamer.held.publish = refusing
        commit_all(edge, streamer, later)
        assert caplog.text.count("cannot stream") == 1
        streamer.held.publish = working

        def tried_again() -> bool:
            streamer.tick(0)
            edge.acknowledge(*edge.fetch())
            return edge.committed(file) == file.stat().st_size

        eventually(tried_again, 20)


def asked_for(claims: Claims, monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The sources whose signals are asked for from now on, an entry for each question."""
    asked: list[Sequence[str]] = []
    signals = claims.signals

    def noted(source_ids: Sequence[str]) -> Signals:
        asked.append(source_ids)
        return signals(source_ids)

    monkeypatch.setattr(claims, "signals", noted)
    return asked


def test_acknowledgements_of_many_sources_are_asked_for_at_once_and_an_idle_edge_asks_for_none(
    edge: Edge, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(2 * MAX_ASKED + 1):
        (folder / f"{n}.csv").write_text(HEADER + rows(n, n + 1))
    with edge.streamer() as streamer:
        asked = asked_for(streamer.claims, monkeypatch)
        monkeypatch.setattr("telemetry.streamer.tick.FRESH_S", 60)
        monkeypatch.setattr("telemetry.streamer.tick.MIN_BUDGET_S", 60.0)
        streamer.tick(0)
        edge.acknowledge(*edge.fetch())
        asked.clear()
        streamer.tick(0)
        assert [len(each) for each in asked] == [MAX_ASKED, MAX_ASKED, 1]
        assert all(stream.idle() for stream in streamer.streams.values())
        asked.clear()
        streamer.tick(0)
        assert asked == [[]]


def test_a_full_window_is_not_asked_after_all_the_time(edge: Edge, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(HEADER + rows(0, 5000))
    with edge.streamer(window_bytes=1 << 16, republish_after_s=1000) as streamer:
        streamer.tick(0)
        asked = asked_for(streamer.claims, monkeypatch)
        streamer.tick(1.0)
        # Each round looks once.
        assert 2 < len(asked) < 30


def test_a_tick_never_takes_so_long_that_the_worker_looks_dead() -> None:
    assert [budget_s(interval_s) for interval_s in (0.01, 5, 3600)] == [0.5, 5, 20]


def test_a_probe_tells_late_from_lost_when_others_keep_the_queue_busy(edge: Edge, file: Path) -> None:
    """The last batches of a file are lost, and another edge's messages keep the queue from ever being empty."""
    with edge.streamer(republish_after_s=0.1) as streamer:
        streamer.tick(0)
        edge.client.delete(edge.settings.ingest_queue)
        edge.client.lpush(edge.settings.ingest_queue, "another edge's")

        def a_probe_was_sent() -> bool:
            streamer.tick(0)
            return edge.client.llen(edge.settings.ingest_queue) > 1

        eventually(a_probe_was_sent)
        edge.client.lrem(edge.settings.ingest_queue, 1, "another edge's")
        (probe,) = edge.fetch()
        assert (probe.start, probe.readings.rows) == (probe.end, 0)
        edge.client.lpush(edge.settings.ingest_queue, "another edge's")
        edge.acknowledge(probe)

        def all_came_again() -> bool:
            streamer.tick(0)
            return edge.client.llen(edge.settings.ingest_queue) == 5

        eventually(all_came_again)
        edge.client.lrem(edge.settings.ingest_queue, 1, "another edge's")
        assert sorted(values(edge.fetch())) == list(range(35))


def test_a_publication_that_was_refused_is_the_first_when_it_succeeds(edge: Edge, file: Path) -> None:
    def counted(name: str, **labels: str) -> float:
        return total(parse(generate_latest(definitions.registry).decode()), name, **labels) or 0

    before = {name: counted(name) for name in ("telemetry_rows_read_total", "telemetry_rows_published_total")}
    again = counted("telemetry_batches_published_total", publication="again")
    with edge.streamer() as streamer:
        publish, refusals = streamer.held.publish, iter((True, True, False))

        def refuse(messages: Messages) -> None:
            if next(refusals, False):
                list(messages)
                raise kombu.exceptions.OperationalError("cut")
            publish(messages)

        streamer.held.publish = refuse
        for _ in range(2):
            with pytest.raises(kombu.exceptions.OperationalError):
                streamer.tick(0)
        assert counted("telemetry_rows_published_total") == before["telemetry_rows_published_total"]
        streamer.tick(0)
    rows_published = sum(each.readings.rows for each in edge.fetch())
    assert rows_published > 0
    for name, was in before.items():
        assert counted(name) - was == rows_published
    assert counted("telemetry_batches_published_total", publication="again") == again


def test_a_state_whose_inode_is_another_one_by_now_is_saved_anew(edge: Edge, file: Path) -> None:
    with edge.streamer() as streamer:
        commit_all(edge, streamer, file)
    (name,) = reading.documents(edge.client, edge.keys, edge.settings.edge)
    key = edge.keys.source(edge.settings.edge, name)
    (state,) = edge.states()
    # As after a mount under another device number.
    edge.client.hset(key, "state", encode(replace(state, inode=Inode(99, 99))))
    with edge.streamer() as streamer:
        streamer.tick(0)
        for stream in streamer.streams.values():
            stream.renew(0)
        assert edge.states()[0].inode == state.inode


def test_what_a_promoted_replica_had_not_got_yet_is_published_again_in_one_tick(edge: Edge, file: Path) -> None:
    """It has an earlier state of the source, and none of the batches since; those that it has are not published again."""
    file.write_text(HEADER + rows(0, 10))
    with edge.streamer(batch_size=2, republish_after_s=1000) as streamer:
        streamer.tick(0)
        (name,) = edge.client.keys(f"{edge.settings.key_prefix}:source:*")
        append(file, rows(10, 20))
        streamer.tick(0)
        assert isinstance(name, bytes)
        edge.client.copy(name.decode(), "lagging")
        there = {batch.batch_id for batch in edge.fetch()}
        append(file, rows(20, 20 + 4 * MAX_IN_A_STEP))
        streamer.tick(0)
        append(file, rows(100, 110))
        streamer.tick(0)
        gone = {batch.batch_id for batch in edge.fetch()}
        edge.client.rename("lagging", name.decode())
        append(file, rows(110, 112))
        streamer.tick(10)
        again = edge.fetch()
        assert gone < {batch.batch_id for batch in again}
        # What the replica got last may have been the state alone.
        assert {batch.batch_id for batch in again} & there <= there - {batch.batch_id for batch in edge.published[:5]}
        assert len({batch.batch_id for batch in again}) == len(again)
        edge.acknowledge(*edge.published)
        streamer.tick(0)
        assert edge.committed(file) == file.stat().st_size


def test_a_save_whose_answer_is_lost_is_no_sign_of_a_lagging_replica(
    edge: Edge, file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text(HEADER + rows(0, 10))
    with edge.streamer(batch_size=2) as streamer:
        streamer.tick(0)
        save = streamer.claims.save

        def unanswered(*args: Any, **options: Any) -> Saved:
            save(*args, **options)
            raise redis.TimeoutError

        with monkeypatch.context() as patch:
            patch.setattr(streamer.claims, "save", unanswered)
            append(file, rows(10, 20))
            with pytest.raises(redis.TimeoutError):
                streamer.tick(0)
        append(file, rows(20, 30))
        streamer.tick(0)
        streamer.tick(0)
        batches = edge.fetch()
        assert len({batch.batch_id for batch in batches}) == len(batches)
        assert sorted(values(batches)) == list(range(30))
    assert "has forgotten" not in caplog.text
