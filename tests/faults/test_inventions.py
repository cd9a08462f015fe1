"""Faults that no list had, as operators meet them: jumping clocks, names that lead elsewhere, ids and rights that are taken."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import psycopg
import pytest

from telemetry.local.servers import Postgres
from telemetry.progress import losses
from telemetry.progress.keys import Keys
from tests.faults.breaking import FAULTS, SOAK_FAULTS
from tests.faults.fault import SkipError
from tests.faults.network import network
from tests.faults.redteam.test_centre import exact
from tests.faults.site import UNSAFE_POSTGRES, Site, site
from tests.faults.test_disaster import end_processes, run
from tests.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
RECOVERY_S = 10.0


def strike(running: Site, name: str) -> None:
    """Let a fault strike while rows flow; they flow again at once afterwards."""
    try:
        (FAULTS | SOAK_FAULTS)[name](running, Random(name))  # noqa: S311
    except SkipError as error:
        pytest.skip(str(error))
    assert running.wait_for_flow(500) < RECOVERY_S


@pytest.mark.parametrize("name", ["refuse_clients", "turn_users_away"])
def test_a_broker_that_lets_nobody_in_loses_nothing(name: str) -> None:
    with site() as running:
        running.feed(1000)
        running.wait_for_flow()
        strike(running, name)
        exact(running)


def test_a_backend_that_hangs_in_a_transaction_loses_nothing() -> None:
    with site() as running:
        running.feed(1000)
        running.wait_for_flow()
        for _ in range(2):
            strike(running, "freeze_backend")
        exact(running)


@pytest.mark.parametrize("name", ["step_clock_of_broker", "step_clock_of_database"])
def test_a_clock_that_jumps_while_its_server_runs_falsifies_nothing(name: str) -> None:
    with site() as running:
        running.feed(500)
        running.wait_for_flow()
        strike(running, name)
        exact(running)


def test_a_volume_that_was_away_is_read_on_and_nothing_stays_recorded_as_lost() -> None:
    with site() as running:
        running.feed(1000)
        running.wait_for_flow()
        strike(running, "unmount_volume")
        exact(running)
        with running.client() as client:
            keys = Keys(running.settings.key_prefix)
            eventually(lambda: losses.of_edge(client, keys, running.settings.edge) == [], 20, what="no record of a loss")


def test_a_file_that_is_replaced_by_longer_copies_of_itself_is_stored_once() -> None:
    with site() as running:
        running.feed(1000)
        running.wait_for_flow(6000)
        strike(running, "copy_over")
        (copied,) = (running.directory / "sources").glob("copied-*.csv")
        lines = len(copied.read_bytes().splitlines()) - 1
        running.wait_until(
            lambda: sum(running.verify(copied)[name] for name in ("stored", "blank", "quarantined")) == lines, "it"
        )
        for feeder in running.feeders:
            feeder.finish()
        running.wait_until(lambda: running.verify()["missing"] == 0, "all stored")
        counts = running.verify()
        assert (counts["missing"], counts["extra"], counts["dead"], counts["conflict"]) == (0, 0, 0, 0)
        assert running.doubled(counts) == 0
        with running.client() as client:
            assert losses.of_edge(client, Keys(running.settings.key_prefix), running.settings.edge) == []


def test_an_edge_that_a_name_leads_to_the_broker_of_another_site_comes_back_whole() -> None:
    # Without users: those of one site are strangers at the other, and nothing at all happens.
    with site(streamers=0, secure=False) as other, site(proxied=True, secure=False) as running:
        running.feed(1000)
        running.wait_for_flow()
        way = network(running).edge_to_broker
        home = way.lead_to(lambda: Path(urlsplit(other.valkey.url).path))
        other.wait_for_flow(3000)
        way.lead_to(home)
        assert running.wait_for_flow(500) < RECOVERY_S
        exact(running)


def test_ids_that_are_taken_as_sequences_stayed_behind_are_passed_over() -> None:
    """The centre moves by logical replication, or a dump of data alone: rows come, and the state of no sequence."""
    with site(collectors=1) as running:
        running.feed(1000)
        running.wait_for_flow()
        dump, listed = running.directory / "telemetry.dump", running.directory / "listed"
        run("pg_dump", "--format=custom", "--file", dump, running.postgres.url)
        end_processes(running)
        run("pg_restore", "--list", "--file", listed, dump)
        listed.write_text("".join(line for line in listed.read_text().splitlines(True) if "SEQUENCE SET" not in line))
        running.postgres.stop()
        with Postgres(running.directory / "new-postgres", UNSAFE_POSTGRES) as postgres:
            run("pg_restore", "--no-owner", "--exit-on-error", "--use-list", listed, "--dbname", postgres.url, dump)
            running.postgres = postgres
            running.variables["TELEMETRY_DATABASE_URL"] = postgres.url
            running.start_collector()
            running.start_beat()
            running.start_streamer()
            # New series, GPUs and sources need new ids.
            running.feed(1000, name="new")
            running.wait_for_flow(500)
            exact(running)
            end_processes(running)


def test_rights_that_are_taken_and_given_back_condemn_no_batch() -> None:
    with site(collectors=0) as running:
        with psycopg.connect(running.postgres.url, autocommit=True) as admin:
            admin.execute("CREATE ROLE limited LOGIN")
            admin.execute("GRANT telemetry TO limited")
            url = running.postgres.url.replace("telemetry@", "limited@")
            running.centre_variables["TELEMETRY_DATABASE_URL"] = url
            running.start_collector()
            running.feed(1000)
            running.wait_for_flow()
            for take, give in (
                ("REVOKE telemetry FROM limited", "GRANT telemetry TO limited"),
                ("ALTER ROLE limited NOLOGIN", "ALTER ROLE limited LOGIN"),
            ):
                admin.execute(take.encode())
                admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'limited'")
                time.sleep(6)
                admin.execute(give.encode())
                assert running.wait_for_flow(500) < RECOVERY_S
        exact(running)
        assert running.count("SELECT count(*) FROM dead_letters") == 0


def test_a_person_who_holds_one_row_holds_up_no_other_file() -> None:
    with site() as running:
        held, free = running.feed(200, "held"), running.feed(200, "free")
        for feeder in (held, free):
            running.wait_until(lambda feeder=feeder: running.committed_bytes(feeder) > 20_000, "both are stored")  # type: ignore[misc]
        with psycopg.connect(running.postgres.url) as person:
            person.execute("SELECT FROM sources WHERE path LIKE '%held.csv' FOR UPDATE")
            begun_s, slowest_s = time.monotonic(), 0.0
            while time.monotonic() - begun_s < 40:
                before, asked_s = running.committed_bytes(free), time.monotonic()
                running.wait_until(lambda before=before: running.committed_bytes(free) > before, "the other file goes on")  # type: ignore[misc]
                slowest_s = max(slowest_s, time.monotonic() - asked_s)
            person.rollback()
        assert slowest_s < 2 * RECOVERY_S
        exact(running)
