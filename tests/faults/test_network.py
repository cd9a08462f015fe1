"""The network between the parts fails: cut, slow, half-open. The soak does each of it alone and for longer."""

from __future__ import annotations

import socket
import time
from contextlib import closing
from random import Random

import psycopg
import pytest

from telemetry.broker import SOCKET_TIMEOUT_S
from telemetry.settings import Settings
from telemetry.store.engine import make_engine
from tests.faults.breaking import FAULTS, NETWORK_FAULTS
from tests.faults.network import network
from tests.faults.site import Site, site
from tests.waiting import eventually

CUTS = ("cut_edge_from_broker", "cut_centre_from_broker", "cut_centre_from_database")
RECOVERY_S = 10.0
# What ends a wait for a database that takes bytes and says nothing is Celery's soft time limit; the soak waits that long.
SOFT_LIMIT_S = 45.0


def test_cuts_on_every_way_and_great_distance_lose_nothing() -> None:
    with site(proxied=True) as running:
        running.feed()
        running.wait_for_flow()
        for name in CUTS:
            NETWORK_FAULTS[name](running, Random(name))  # noqa: S311
            assert running.wait_for_flow(500) < RECOVERY_S, name
        for proxy in (network(running).edge_to_broker, network(running).centre_to_database):
            proxy.slow(0.2, 1 << 20)
            time.sleep(3)
            proxy.heal()
            assert running.wait_for_flow(500) < RECOVERY_S
        exact(running)


def test_connections_to_the_broker_that_went_silent_hold_nothing_up_for_ever() -> None:
    with site(proxied=True) as running:
        running.feed(1000)
        running.wait_for_flow()
        proxies = (network(running).edge_to_broker, network(running).centre_to_broker)
        for proxy in proxies:
            proxy.silence()
        time.sleep(1)
        for proxy in proxies:
            proxy.heal()
        # A process notices connection by connection.
        assert running.wait_for_flow(500) < 4 * SOCKET_TIMEOUT_S + RECOVERY_S
        exact(running)


def test_a_silence_after_processes_of_the_pool_died_stops_no_loop() -> None:
    # Those that took their place were forked from a process that was connected, and drops its connections after the silence.
    with site(proxied=True, collectors=1) as running:
        running.feed(1000)
        running.wait_for_flow()
        FAULTS["kill_pool_children"](running, Random(1))  # noqa: S311
        running.wait_for_flow(500)
        NETWORK_FAULTS["silence_centre_to_broker"](running, Random(1))  # noqa: S311
        running.wait_for_flow(500)
        dropped = "pub/sub connection missed"
        eventually(lambda: dropped in running.log(), 60, every_s=0.5, what="the silent subscription is dropped")
        assert running.wait_for_flow(500) < RECOVERY_S
        (collector,) = running.collectors
        collector.terminate()
        assert collector.wait(30) == 0
        exact(running)


def test_a_collector_that_went_silent_in_a_copy_keeps_its_locks_no_longer_than_a_statement_may_take() -> None:
    with site(TELEMETRY_STATEMENT_TIMEOUT_S="4", secure=False) as running:
        running.feed()
        running.wait_for_flow()
        with closing(psycopg.connect(running.postgres.url, application_name="telemetry-collector")) as silent:
            silent.execute("LOCK TABLE batches IN SHARE MODE")
            # No end of it ever comes, and nothing says that the client is gone.
            silent.pgconn.send_query(b"COPY quarantine (reason) FROM STDIN")
            silent.pgconn.flush()
            eventually(lambda: "have gone silent" in running.log(), 60, every_s=0.5, what="its session is ended")
            assert running.wait_for_flow(500) < RECOVERY_S
        exact(running)


@pytest.mark.redteam(of="R6")
def test_a_former_broker_that_keeps_its_connections_holds_nothing_up() -> None:
    # Without users: the other server has none.
    with site(proxied=True, secure=False) as running:
        running.feed()
        running.wait_for_flow()
        for _ in range(2):
            NETWORK_FAULTS["fail_over_broker"](running, Random(1))  # noqa: S311
            assert running.wait_for_flow(500) < RECOVERY_S
        exact(running)


def exact(running: Site) -> None:
    """Settle, and compare."""
    counts = running.settle()
    assert (counts["missing"], counts["dead"], counts["conflict"], running.doubled(counts)) == (0, 0, 0, 0)
    assert counts["stored"] > 1000


def test_a_dead_peer_of_postgres_is_noticed_by_the_kernel() -> None:
    """What no test without a network of its own can let happen: packets that nobody acknowledges."""
    with site(proxied=True, collectors=0, streamers=0) as running:
        engine = make_engine(Settings.load({**running.variables, **running.centre_variables}), application="test")
        with engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            with socket.socket(fileno=socket.dup(driver.fileno())) as ours:
                assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 30
                assert 0 < ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= SOFT_LIMIT_S * 1000
        engine.dispose()
