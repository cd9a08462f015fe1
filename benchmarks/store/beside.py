"""How fast samples are stored while a day is sealed, beside how fast they are stored while nothing is.

Both are measured in turn: some batches while another process waits, as many while it seals, until the day is sealed or another
one is stored. So what else the machine does is the same for both.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Sequence
from itertools import islice
from multiprocessing.synchronize import Event

from sqlalchemy import Engine

from benchmarks.store import days
from telemetry.collector.upkeep import REST
from telemetry.settings import Settings
from telemetry.store.engine import make_engine
from telemetry.store.partitions import Partitions

# Batches of a turn, each an hour of a host.
TURN = 3


def run(engine: Engine, settings: Settings, gpus: int) -> dict[str, float]:
    """Samples that are stored in a second, and while a day of so many GPUs is sealed; the ratio of the medians."""
    day = int(time.time()) // days.DAY_S - days.AGO_DAYS
    days.fill(engine, gpus, day)
    (table,) = Partitions(engine).ensure([day + 1]).values()
    batches = days.batches(engine, gpus, day + 1)

    def rate(some: Sequence[list[days.Part]]) -> float:
        begun_s = time.perf_counter()
        stored = sum(days.write(engine, day + 1, table, parts) for parts in some)
        return stored / (time.perf_counter() - begun_s)

    context = multiprocessing.get_context("spawn")
    may_seal, waits, is_sealed = context.Event(), context.Event(), context.Event()
    sealer = context.Process(target=_seal, args=(settings, day, may_seal, waits, is_sealed), daemon=True)
    sealer.start()
    waits.wait()
    alone, beside = list[float](), list[float]()
    while len(turn := list(islice(batches, 2 * TURN))) == 2 * TURN:
        without = rate(turn[:TURN])
        waits.clear()
        may_seal.set()
        with_sealer = rate(turn[TURN:])
        if is_sealed.is_set():
            break
        may_seal.clear()
        waits.wait()
        alone.append(without)
        beside.append(with_sealer)
    sealer.terminate()
    sealer.join()
    figures = {"stored_a_second": statistics.median(alone), "stored_a_second_beside_sealing": statistics.median(beside)}
    return figures | {"stored_beside_sealing_ratio": statistics.median(beside) / statistics.median(alone)}


def _seal(settings: Settings, day: int, may_seal: Event, waits: Event, is_sealed: Event) -> None:
    """Seal a day step by step, while that is allowed, with the rest between two steps that a process of a collector takes."""
    engine = make_engine(settings, application="bench", pool_size=1)
    while True:
        if not may_seal.is_set():
            waits.set()
            may_seal.wait()
        begun_s = time.perf_counter()
        if not days.seal_step(engine, settings, day):
            is_sealed.set()
            waits.set()
            return
        time.sleep(REST * (time.perf_counter() - begun_s))
