"""What the ledger says of batches that were just published: what of them is new, known, in conflict, or expired."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

NOW = text("SELECT clock_timestamp()")
SETTLED = text("""
    SELECT count(*) AS batches,
           coalesce(sum(stored) FILTER (WHERE committed_at >= :since), 0) AS new,
           coalesce(sum(copies * (stored + duplicate)), 0)
               - coalesce(sum(stored) FILTER (WHERE committed_at >= :since), 0) AS known,
           coalesce(sum(copies * conflict), 0) AS conflict, coalesce(sum(copies * expired), 0) AS expired
    FROM batches JOIN unnest(CAST(:batch_ids AS text[]), CAST(:copies AS integer[])) AS k (batch_id, copies) USING (batch_id)
    WHERE edge = :edge
""")


@dataclass(frozen=True, slots=True)
class Settled:
    """Readings by class: stored by these batches since a time, stored before, in conflict, or older than what is kept."""

    new: int
    known: int
    conflict: int
    expired: int


def now(connection: Connection) -> datetime:
    """The database's clock."""
    moment: datetime = connection.execute(NOW).scalar_one()
    return moment


def settled(connection: Connection, edge: str, copies: Mapping[str, int], since: datetime) -> Settled | None:
    """What became of the batches of an edge; None if the ledger does not have all of them.

    `copies` says by batch id how many files had it: files of the same bytes have the same batches, and one of them is stored.
    A batch that the ledger had before `since` was not stored again: what it stored then is known.
    """
    given = {"edge": edge, "batch_ids": list(copies), "copies": list(copies.values()), "since": since}
    row = connection.execute(SETTLED, given).one()
    if row.batches != len(copies):
        return None
    return Settled(int(row.new), int(row.known), int(row.conflict), int(row.expired))
