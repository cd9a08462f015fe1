"""The centre is away while the edge's files grow: nothing grows but the files, and afterwards none of them starves."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from typing import Any

import msgpack
import psutil
import psycopg
import pytest

from telemetry.progress import reading
from telemetry.progress.keys import Keys
from tests.faults.databases import SLOW_DOWN
from tests.faults.feeder import Feeder
from tests.faults.site import Site, site
from tests.waiting import eventually

WINDOW_BYTES = 1 << 20
GROWTH_S = 14
ROW_BYTES = 600
# Batches whose transaction came before that of one earlier in the file.
OVERTAKING = """
    SELECT count(*) FROM (
        SELECT turn < max(turn) OVER (ORDER BY start_offset) AS overtakes
        FROM (SELECT start_offset, xmin::text::bigint AS turn FROM batches) turns) each WHERE overtakes
"""
BATCH_ROWS = 200


@dataclass(frozen=True)
class Look:
    """The broker and the streamer at one moment: batches in the queue, other messages, memory."""

    batches: list[dict[str, Any]]
    probes: int
    broker_bytes: int
    streamer_bytes: int


@pytest.mark.timeout(180)
def test_a_centre_that_is_away_stops_the_edge_and_starves_no_source() -> None:
    # All sources of the edge share what a single one could take.
    with site(collectors=0, edge_bytes=WINDOW_BYTES, window_bytes=WINDOW_BYTES, batch_size=BATCH_ROWS) as running:
        big = running.feed(5000, "big", padding=ROW_BYTES)
        eventually(lambda: len(look(running).batches) > 1, 20, what="a full window")
        small = [running.feed(rate, f"small-{rate}", padding=ROW_BYTES) for rate in (20, 60, 200)]
        time.sleep(4)
        early = look(running)
        time.sleep(GROWTH_S - 4)
        late = look(running)
        for feeder in running.feeders:
            feeder.finish()
        assert big.path.stat().st_size > 20 << 20

        nothing_grew(early, late)
        ids = [batch["batch_id"] for batch in late.batches]
        assert len(ids) == len(set(ids)), "something was published twice"

        running.start_collector()
        running.start_collector()
        none_starves(running, big, small)
        counts = running.settle()
        assert (counts["missing"], counts["dead"], counts["conflict"], running.doubled(counts)) == (0, 0, 0, 0)


SLOW_S = 8
SPAN_BYTES = 4 << 20


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_centre_ten_times_too_slow_gets_nothing_twice_and_drains_the_oldest_first() -> None:
    # Batches that are worked on at the same time end in any order; where there is one at a time, the queue's order is seen.
    with site(
        collectors=1,
        processes=1,
        batch_size=BATCH_ROWS,
        collector_batch_size=BATCH_ROWS,
        buffer_size=BATCH_ROWS,
        window_bytes=SPAN_BYTES,
    ) as running:
        running.feed(2500, "slow", padding=ROW_BYTES)
        running.wait_for_flow()
        with psycopg.connect(running.postgres.url, autocommit=True) as connection:
            connection.execute(SLOW_DOWN)
            eventually(lambda: len(look(running).batches) > 1, 20, what="a full window")
            early = look(running)
            deadline = time.monotonic() + SLOW_S
            while time.monotonic() < deadline:
                late = look(running)
                assert most_tries(running) == 1, "something was published twice for being slow"
                time.sleep(0.5)
            connection.execute("DROP FUNCTION slow_down CASCADE")
        # The last batch may pass it, and one that catches up is a quarter of it at most.
        assert sum(batch["end"] - batch["start"] for batch in late.batches) <= SPAN_BYTES * 5 // 4
        assert late.broker_bytes < early.broker_bytes + 2 * SPAN_BYTES
        assert late.streamer_bytes < early.streamer_bytes + (8 << 20)
        running.wait_for_flow(5000)
        assert most_tries(running) == 1, "something was published twice while the backlog was drained"
        counts = running.settle()
        assert (counts["missing"], counts["dead"], counts["conflict"], running.doubled(counts)) == (0, 0, 0, 0)
        assert running.count("SELECT count(*) FROM batches") > 20
        assert running.count(OVERTAKING) == 0


def most_tries(running: Site) -> int:
    """How often the batch in the window was published that was published most often."""
    with running.client() as client:
        states = reading.sources_by_edge(client, Keys("telemetry"))
    tries = [flight.tries for of_edge in states.values() for state in of_edge.values() for flight in state.window.flights]
    return max(tries, default=1)


def nothing_grew(early: Look, late: Look) -> None:
    """The queue holds no more than the window, and neither the broker nor the streamer more than before."""
    in_flight = sum(batch["end"] - batch["start"] for batch in late.batches)
    assert in_flight <= WINDOW_BYTES + 2 * BATCH_ROWS * (ROW_BYTES + 200)
    assert len(late.batches) == len(early.batches)
    assert late.probes <= 8
    assert late.broker_bytes < early.broker_bytes + (1 << 20)
    assert late.streamer_bytes < early.streamer_bytes + (8 << 20)


def none_starves(running: Site, big: Feeder, small: list[Feeder]) -> None:
    """While the big one drains, each small one gets its turns."""
    committed: dict[str, int] = {}

    def all_moved() -> bool:
        committed.update({each.path.stem: running.committed_bytes(each) for each in (big, *small)})
        # A header is committed before anything is.
        return all(committed[each.path.stem] > 2 * ROW_BYTES for each in small)

    eventually(all_moved, 30, what=f"progress of every source ({committed})")
    assert committed["big"] < big.path.stat().st_size * 0.9


def look(running: Site) -> Look:
    """What there is now."""
    with running.client() as client:
        messages = client.lrange("telemetry.ingest", 0, -1)
        used = int(client.info("memory")["used_memory"])
    headers = [header(message) for message in messages]
    batches = [each for each in headers if not each["batch_id"].startswith("probe-")]
    memory = psutil.Process(running.edge[-1].pid).memory_info().rss
    return Look(batches, len(headers) - len(batches), used, memory)


def header(message: bytes | str) -> dict[str, Any]:
    """The header of a batch, out of kombu's envelope."""
    arguments = msgpack.unpackb(base64.b64decode(json.loads(message)["body"]))[0]
    found: dict[str, Any] = arguments[0]
    return found
