"""What becomes of the broker: replicas that lag, memory and disk that are full, distance, giants."""

from __future__ import annotations

import time
from random import Random

import psutil
import pytest

from tests.faults.breaking import FAULTS, NETWORK_FAULTS, SOAK_FAULTS
from tests.faults.brokers import QUEUE
from tests.faults.network import network
from tests.faults.redteam.test_centre import exact, struck
from tests.faults.site import site

pytestmark = pytest.mark.timeout(300)
RECOVERY_S = 10.0
GIANTS, GIANT_BYTES = 8, 80 << 20
# As much memory a collector had in the red team's hands.
LIMIT_BYTES = 1500 << 20


@pytest.mark.redteam(of="R21")
def test_a_replica_that_lags_becomes_the_broker() -> None:
    # Without users: the other server has none.
    with site(proxied=True, secure=False) as running:
        running.feed(2000)
        running.wait_for_flow()
        NETWORK_FAULTS["promote_a_lagging_broker"](running, Random(1))  # noqa: S311
        assert running.wait_for_flow(500) < RECOVERY_S
        exact(running)


@pytest.mark.redteam(of="R22")
def test_a_broker_that_drops_whichever_keys_it_likes() -> None:
    with site() as running:
        running.feed(2000)
        running.wait_for_flow()
        FAULTS["evict_keys"](running, Random(1))  # noqa: S311
        with running.client() as client:
            assert client.info("stats")["evicted_keys"] > 50
        assert running.wait_for_flow(500) < RECOVERY_S
        exact(running)


@pytest.mark.redteam(of="R24")
@pytest.mark.slow
def test_a_broker_whose_disk_is_full() -> None:
    with site() as running, struck():
        running.feed(1000)
        running.wait_for_flow()
        SOAK_FAULTS["fill_disk_of_broker"](running, Random(1))  # noqa: S311
        exact(running)


@pytest.mark.redteam(of="R27")
@pytest.mark.slow
def test_a_broker_half_a_second_away_from_both_sides() -> None:
    with site(proxied=True) as running:
        running.feed(500)
        running.wait_for_flow(1000)
        ways = (network(running).edge_to_broker, network(running).centre_to_broker)
        for way in ways:
            way.slow(0.5)
        begun_s, before = time.monotonic(), running.committed_rows()
        time.sleep(20)
        rate = (running.committed_rows() - before) / (time.monotonic() - begun_s)
        for way in ways:
            way.heal()
        assert rate > 50
        assert running.wait_for_flow(500) < RECOVERY_S
        exact(running)


@pytest.mark.redteam(of="R31")
@pytest.mark.slow
def test_giants_of_strangers_neither_fill_memory_nor_the_database() -> None:
    with site(collectors=1) as running:
        running.feed(1000)
        running.wait_for_flow()
        with running.client() as client:
            for n in range(GIANTS):
                # One that comes again is one dead letter.
                client.lpush(QUEUE, b'{"body": "%d' % n + b"A" * GIANT_BYTES + b'"}')
        largest = 0

        def is_over() -> bool:
            nonlocal largest
            for process in running.collectors:
                family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
                largest = max(largest, sum(each.memory_info().rss for each in family))
            return running.count("SELECT count(*) FROM dead_letters") == GIANTS

        running.wait_until(is_over, "all giants are dead letters", every_s=0.05)
        assert running.wait_for_flow(1000) < RECOVERY_S
        assert largest < LIMIT_BYTES
        assert running.tended == 0
        assert running.count("SELECT coalesce(sum(length(payload)), 0) FROM dead_letters") < 1 << 20
        exact(running)
