"""`telemetry trial`: a marked batch goes the way of all batches, and leaves nothing in the fleet, nor in the ledger."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, text

from telemetry import broker
from telemetry.progress.keys import Keys
from telemetry.readings.names import TRIAL
from telemetry.settings import Settings
from telemetry.store.read import exporter, ingest
from telemetry.store.read.ingest import SourceFilter
from telemetry.trust import server
from telemetry.trust.credentials import CENTRE, Maker
from tests.fixtures.services import Query
from tests.waiting import eventually

Run = Callable[..., subprocess.CompletedProcess[str]]
EDGE = "west/n1"
AT_THE_EDGE = {"TELEMETRY_ROLE": "edge", "TELEMETRY_EDGE": EDGE}
OF_THE_FLEET = ("samples", "series", "gpus", "metrics", "quarantine", "conflicts", "dead_letters", "allocations", "unjudged")
# A trial that is dead, one that is folded, and a batch with a reading that calls itself a trial.
LEFT = """
    INSERT INTO sources (edge, path, fingerprint, format) VALUES ('e/1', 'a trial of telemetry', 'trial', 'trial');
    INSERT INTO batches (edge, batch_id, source_id, status, start_offset, end_offset, first_line, rows, stored, duplicate,
                         conflict, blank, quarantined, read_at, published_at)
    SELECT 'e/1', name, id, status, 0, 1, 1, 1, stored, 0, 0, 0, 0, now(), now()
    FROM sources, (VALUES ('trial-1', 'dead', 0), ('trial-2', 'stored', 1)) AS v (name, status, stored);
    INSERT INTO ledger_ranges (source_id, start_offset, end_offset, first_line, last_start, last_line, batches, rows, stored,
                               duplicate, conflict, blank, quarantined, committed_at, last_committed_at)
    SELECT id, 0, 1, 1, 0, 1, 2, 2, 0, 0, 0, 2, 0, now(), now() FROM sources;
    INSERT INTO dead_letters (edge, batch_id, error, header, payload) VALUES
        ('e/1', 'trial-1', 'x', '{"source"\\: {"fingerprint"\\: "trial"}}', ''), ('e/1', 'b', 'x', '{}', '')
"""
OF_THE_LEDGER = ("batches", "ledger_ranges")


def counts(query: Query, *tables: str) -> dict[str, int]:
    return {table: query(f"SELECT count(*)::int FROM {table}")[0][0] for table in tables}  # noqa: S608


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_marked_batch_is_committed_and_leaves_nothing(
    start_collector: Callable[[], object],
    telemetry: Run,
    engine: Engine,
    query: Query,
    redis_client: redis.Redis,
    settings: Settings,
) -> None:
    start_collector()
    before = counts(query, *OF_THE_FLEET)
    done = telemetry("trial", "--json", **AT_THE_EDGE)
    assert done.returncode == 0, done.stdout + done.stderr
    told = answer(done)
    assert (told["edge"], told["status"]) == (EDGE, "committed")
    assert 0 < told["round_trip_s"] < 30
    assert query("SELECT edge, rows, blank, stored FROM batches") == [(EDGE, 1, 1, 0)]
    assert counts(query, *OF_THE_FLEET) == before
    with engine.connect() as connection:
        assert not connection.execute(ingest.sources(SourceFilter())).all()
        assert not connection.execute(ingest.edges()).all()
        assert not exporter.totals(connection, 10)
        assert not exporter.edges(connection, 10)
    (flow,) = answer(telemetry("status", "--json"))["flow"]
    # It is no row of the edge.
    assert (flow["edge"], flow["row_age_s"]) == (EDGE, None)
    removed = answer(telemetry("trial", "--forget", "--json"))["removed"]
    assert [(each["edge"], each["batch_id"]) for each in removed] == [(EDGE, told["batch_id"])]
    assert 0 < removed[0]["latency_s"] < 30
    assert set(counts(query, *OF_THE_LEDGER).values()) == {0}
    assert not redis_client.exists(Keys(settings.key_prefix).acks(EDGE, TRIAL))
    # The collector has the id of its source at hand.
    assert answer(telemetry("trial", "--json", **AT_THE_EDGE))["status"] == "committed"
    assert telemetry("trial", "--forget").stdout == "removed 1 marked batch\n"


def test_what_was_cut_off_is_removed_later(start_collector: Callable[[], object], telemetry: Run, query: Query) -> None:
    done = telemetry("trial", "--timeout", "0.2", **AT_THE_EDGE)
    assert done.returncode == 1
    assert "no answer within 0.2 s" in done.stdout
    start_collector()
    eventually(lambda: counts(query, "batches")["batches"], 30, what="the batch is committed after all")
    assert telemetry("trial", "--forget").returncode == 0
    assert set(counts(query, *OF_THE_LEDGER).values()) == {0}


def test_only_what_has_no_reading_is_removed(telemetry: Run, engine: Engine, query: Query) -> None:
    with engine.begin() as connection:
        for statement in LEFT.split(";"):
            connection.execute(text(statement))
    assert [each["batch_id"] for each in answer(telemetry("trial", "--forget", "--json"))["removed"]] == ["trial-1"]
    assert query("SELECT batch_id FROM batches") == [("trial-2",)]
    assert query("SELECT batch_id FROM dead_letters") == [("b",)]
    assert counts(query, "ledger_ranges") == {"ledger_ranges": 0}


@pytest.fixture
def maker(settings: Settings) -> Iterator[Maker]:
    """What makes credentials, whose users are at the broker."""
    made = Maker(secrets.token_hex(32), settings.key_prefix)
    names = []
    with broker.connect(settings) as client:
        for user, passwords in made.users({"west": [CENTRE]}):
            server.write(client, user, passwords)
            names.append(user.name)
        yield made
        for name in names:
            server.remove(client, name)


def test_the_users_that_a_deployment_makes_may_do_it(
    start_collector: Callable[..., object], telemetry: Run, maker: Maker, query: Query
) -> None:
    """An edge with its own user and key, and the exporter of the centre, in whose pod the centre is asked."""
    centre = {"TELEMETRY_TRUST_SECRET": maker.secret, "TELEMETRY_SIGNATURES": "required"}
    start_collector(**maker.of_role("collector"), **centre)
    edge: Mapping[str, str] = {**AT_THE_EDGE, **maker.environment("west", CENTRE)}
    done = telemetry("trial", "--json", **edge)
    assert done.returncode == 0, done.stdout + done.stderr
    assert answer(done)["status"] == "committed"
    as_exporter = maker.of_role("exporter")
    looked = telemetry("status", "--json", **as_exporter)
    assert "may not ask collectors whether they live" in looked.stderr
    document = answer(looked)
    assert document["edges"] is not None
    assert document["queue"] == {"waiting": 0, "unacked": 0}
    assert [each["edge"] for each in document["flow"]] == [EDGE]
    assert len(answer(telemetry("trial", "--forget", "--json", **as_exporter))["removed"]) == 1
    assert counts(query, "batches") == {"batches": 0}
