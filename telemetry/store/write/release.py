"""Rows that leave quarantine as they are readings by now: they go, and the ledger counts them as what they became.

All runs inside the caller's transaction, which also stores their readings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

LEAVE = text("DELETE FROM quarantine WHERE id = ANY(:ids) RETURNING id")
JUDGE = text("""
    UPDATE quarantine q SET reason = k.reason
    FROM unnest(CAST(:ids AS bigint[]), CAST(:reasons AS text[])) AS k (id, reason) WHERE q.id = k.id AND q.reason <> k.reason
""")
# A row may be counted by several batches, as files are read again: the first that has it is corrected. The digest goes, as it
# is of other readings: a batch that comes again under the same id is known, and not suspected.
RECOUNT = """
    WITH k AS (
        SELECT * FROM unnest(CAST(:source_id AS bigint[]), CAST(:offset AS bigint[]), CAST(:stored AS bigint[]),
                             CAST(:duplicate AS bigint[]), CAST(:conflict AS bigint[]), CAST(:blank AS bigint[]),
                             CAST(:expired AS bigint[]))
            WITH ORDINALITY AS k (source_id, at, stored, duplicate, conflict, blank, expired, n)
    ), hit AS (
        SELECT DISTINCT ON (k.n) k.*, b.ctid AS place FROM k JOIN {table} b ON b.source_id = k.source_id
            AND b.anchor IS NULL AND b.start_offset <= k.at AND k.at < b.end_offset AND b.quarantined > 0 {stored}
        ORDER BY k.n, b.committed_at
    ), summed AS (
        SELECT place, sum(stored) AS stored, sum(duplicate) AS duplicate, sum(conflict) AS conflict, sum(blank) AS blank,
               sum(expired) AS expired, count(*) AS number
        FROM hit GROUP BY place
    ), changed AS (
        UPDATE {table} b SET stored = b.stored + s.stored, duplicate = b.duplicate + s.duplicate,
            conflict = b.conflict + s.conflict, blank = b.blank + s.blank, expired = b.expired + s.expired,
            quarantined = b.quarantined - s.number,
            rows = b.rows + s.stored + s.duplicate + s.conflict + s.blank + s.expired - s.number {digest}
        FROM summed s WHERE b.ctid = s.place
    )
    SELECT n FROM hit
"""
OF_BATCHES = text(RECOUNT.format(table="batches", stored="AND b.status = 'stored'", digest=", digest = NULL"))
OF_RANGES = text(RECOUNT.format(table="ledger_ranges", stored="", digest=""))


class Released(NamedTuple):
    """A row that left quarantine: its source and byte offset, and what its readings became."""

    source_id: int
    offset: int
    stored: int
    duplicate: int
    conflict: int
    blank: int
    expired: int


def leave(connection: Connection, ids: Sequence[int]) -> bool:
    """Take rows out of quarantine. False if one of them is not there any more."""
    return len(connection.execute(LEAVE, {"ids": list(ids)}).all()) == len(ids)


def judge_anew(connection: Connection, reasons: dict[int, str]) -> None:
    """Write down why rows cannot be read as of today, by their ids."""
    connection.execute(JUDGE, {"ids": list(reasons), "reasons": list(reasons.values())})


def recount(connection: Connection, released: Sequence[Released]) -> None:
    """Count rows in the ledger as what they became."""
    left = list(released)
    for statement in (OF_BATCHES, OF_RANGES):
        if not left:
            return
        columns = {name: [getattr(row, name) for row in left] for name in Released._fields}
        numbers = {row.n for row in connection.execute(statement, columns)}
        left = [row for n, row in enumerate(left, 1) if n not in numbers]
