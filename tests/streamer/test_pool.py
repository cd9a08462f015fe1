"""Processes that read beside another one: what happens when they die or cannot be started, and what they leave."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from multiprocessing.context import ForkProcess
from pathlib import Path

import psutil
import pytest

from telemetry.streamer import parts, shared
from telemetry.streamer import pool as pools_of_processes
from telemetry.streamer.batching import Cutter
from telemetry.streamer.pool import PARTS_A_PROCESS, Pool
from telemetry.streamer.shared import Shared
from telemetry.streamer.source import SourceFile
from tests.streamer.pools import HEADER, READER, Seen, all_of, row, started, steps
from tests.waiting import eventually

Open = Callable[..., SourceFile]
TEXT = HEADER + "".join(map(row, range(6_000)))


def children() -> set[psutil.Process]:
    return set(psutil.Process().children())


def test_a_process_that_dies_leaves_the_rest_to_this_one(
    opened: Open, small_parts: None, caplog: pytest.LogCaptureFixture
) -> None:
    source, before, batches = opened(TEXT), children(), []
    with started() as pool:
        for number, step in enumerate(steps(Shared(source, READER, pool, least_bytes=0), source)):
            batches += step
            if number == 1:
                (children() - before).pop().kill()
        assert (pool.count, children()) == (0, before)
    assert [each.batch_id for each in batches] == [each.batch_id for each in all_of(Cutter(source, READER), source)]
    assert caplog.text.count("this one reads alone") == 1


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_ends_or_stands_in_the_middle_of_an_answer_is_not_waited_for(
    opened: Open, monkeypatch: pytest.MonkeyPatch, sign: signal.Signals
) -> None:
    monkeypatch.setattr(shared, "PART_BYTES", 4_000_000)
    monkeypatch.setattr(pools_of_processes, "PATIENCE_S", 1)
    numbers = random.Random(1)  # noqa: S311
    source = opened(HEADER + "".join(row(n, value=str(numbers.random())) for n in range(80_000)))
    with started() as pool:
        cutter, first = Shared(source, READER, pool, least_bytes=0), pool._processes[0]
        reading = cutter.batches(source.head.first, limit=5000, room_bytes=4_000_000, now_us=0, row_bytes=60)
        with monkeypatch.context() as patch:
            # It was asked, and nobody has taken the answer.
            patch.setattr(Pool, "wait", lambda *_: pytest.fail("it is only asked"))
            with pytest.raises(pytest.fail.Exception):
                next(reading)
        # It has begun to send what does not fit into the connection.
        assert first.connection.poll(20)
        process = psutil.Process(first.process.pid or 0)
        process.send_signal(sign)
        eventually(lambda: process.status() in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE})
        assert pool.wait(first.asked[0]) is None
        assert pool.count == 0


def test_no_more_is_read_than_there_is_room_for(pool: Seen, opened: Open) -> None:
    source = opened(TEXT)
    cutter, place, taken = Shared(source, READER, pool, least_bytes=0), source.head.first, 0
    while step := list(cutter.batches(place, limit=200, room_bytes=1, now_us=0, row_bytes=60)):
        place, taken = step[-1].extent.next, taken + len(step)
        # Of four batches each.
        assert len(pool.begun) <= taken / 4 + 2 * PARTS_A_PROCESS + 1


def test_without_processes_one_reads_alone(
    opened: Open, small_parts: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begun: list[ForkProcess] = []
    start, before = ForkProcess.start, children()

    def start_one(process: ForkProcess) -> None:
        if begun:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        begun.append(process)
        start(process)

    monkeypatch.setattr(ForkProcess, "start", start_one)
    with started() as pool:
        assert (pool.count, children()) == (0, before)
        source = opened(TEXT)
        assert all_of(Shared(source, READER, pool, least_bytes=0), source)[-1].extent.end == source.size()
    assert "Resource temporarily unavailable" in caplog.text


def test_nothing_stays_open_of_a_file_that_is_read(pool: Seen, opened: Open) -> None:
    source = opened(TEXT)
    assert all_of(Shared(source, READER, pool, least_bytes=0), source)
    source.path.unlink()

    def held() -> bool:
        return any(
            f"{source.path} (deleted)" == str(fd.readlink())
            for each in pool._processes
            for fd in Path(f"/proc/{each.process.pid}/fd").iterdir()
        )

    assert held()
    eventually(lambda: not held(), 3 * parts.KEPT_OPEN_S)


def test_a_pool_that_is_not_started_has_nobody() -> None:
    with Pool() as pool:
        assert (pool.count, pool.takes_a_part()) == (0, False)
