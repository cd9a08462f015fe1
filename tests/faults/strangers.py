"""Somebody takes what is stored, or says that it is: the audit notices, and has it read again. The audit runs from then on."""

from __future__ import annotations

from random import Random

import psycopg

from telemetry.progress import reading
from telemetry.progress.acks import Ack, Acks
from telemetry.progress.keys import Keys
from tests.faults.brokers import QUEUE, queued
from tests.faults.fault import SkipError, pause, soak_fault
from tests.faults.site import EXACT_S, Site, kill_tree
from tests.ports import free_port
from tests.waiting import eventually

# Of sealed days there is nothing in this table.
DELETE_SAMPLES = """
    DELETE FROM samples WHERE (series_id, ts) IN (
        SELECT series_id, ts FROM samples JOIN series s ON s.id = series_id JOIN gpus g ON g.id = s.gpu_id
        WHERE g.uuid = %s ORDER BY ts DESC LIMIT 300
    ) RETURNING series_id, ts
"""
THERE = "SELECT count(*) FROM samples WHERE (series_id, ts) IN (SELECT * FROM unnest(%s::bigint[], %s::timestamptz[]))"
DELETE_BATCHES = """
    DELETE FROM batches WHERE (edge, batch_id) IN (
        SELECT b.edge, b.batch_id FROM batches b JOIN sources s ON s.id = b.source_id
        WHERE b.status = 'stored' AND s.path = '{path}' ORDER BY b.committed_at DESC LIMIT 3
    )
"""
# What a file, whatever its names were, has between its first and its last batch, and the ledger has not.
HOLES = """
    SELECT count(*) FROM (
        SELECT range_agg(int8range(start_offset, end_offset)) AS parts FROM ledger l JOIN sources s ON s.id = l.source_id
        GROUP BY s.edge, s.fingerprint
    ) AS files WHERE (SELECT count(*) FROM unnest(parts)) > 1
"""


@soak_fault
def delete_samples(site: Site, random: Random) -> None:
    """A person deletes the latest samples of a file."""
    audit(site)
    # A file of its own: of one that another fault has deleted nothing can be read again.
    feeder = site.feed(300, name=f"in-the-samples-{len(site.feeders)}")
    site.wait_until(lambda: site.committed_bytes(feeder) > 40_000, what="rows of the file stored")
    with psycopg.connect(site.postgres.url, autocommit=True) as connection:
        gone = connection.execute(DELETE_SAMPLES.encode(), [feeder.gpu]).fetchall()
    if not gone:
        raise SkipError("no sample is a row: all are sealed")

    def are_there() -> bool:
        with psycopg.connect(site.postgres.url, autocommit=True) as connection:
            row = connection.execute(THERE.encode(), [list(column) for column in zip(*gone, strict=True)]).fetchone()
        return row is not None and row[0] == len(gone)

    # File after file is read again, until all are there.
    eventually(are_there, 4 * EXACT_S, every_s=0.2, what="the deleted samples are there again")


@soak_fault
def delete_ledger_rows(site: Site, random: Random) -> None:
    """A person deletes the latest rows that the ledger has of a file, and some time passes."""
    audit(site)
    # A file of its own: of one that another fault has deleted nothing can be read again.
    feeder = site.feed(300, name=f"in-the-ledger-{len(site.feeders)}")
    site.wait_until(lambda: site.committed_bytes(feeder) > 20_000, what="rows of the file stored")
    run(site, DELETE_BATCHES.format(path=feeder.path))
    pause(random, 3)
    eventually(lambda: site.count(HOLES) == 0, EXACT_S, every_s=0.2, what="the ledger has no hole")


@soak_fault
def forge_acks(site: Site, random: Random) -> None:
    """A stranger takes what is on the queue, and tells the edge that it is stored."""
    audit(site)
    with queued(site) as client:
        client.delete(QUEUE, "telemetry.unacked.central", "telemetry.unacked_index.central")
        keys, edge = Keys(site.settings.key_prefix), site.settings.edge
        forged = [
            Ack(edge, source_id, flight.batch_id, "stored")
            for source_id, state in reading.sources(client, keys, edge).items()
            for flight in state.window.flights
        ]
        Acks(client, keys, 60).send(forged)
    pause(random, 3)


def audit(site: Site) -> None:
    """Let an exporter run, if none does."""
    if any(site.directory.glob("*-exporter.log")):
        return
    interval = {"TELEMETRY_EXPORTER_INTERVAL_S": "0.5", "TELEMETRY_ROLE": "central"}
    process = site.start_process("exporter", "telemetry", "exporter", "--port", str(free_port()), **interval)
    site.stack.callback(process.wait)
    site.stack.callback(kill_tree, process.pid)


def run(site: Site, statement: str) -> int:
    """Change the database behind everybody's back; how many rows that was."""
    with psycopg.connect(site.postgres.url, autocommit=True) as connection:
        return connection.execute(statement.encode()).rowcount
