"""What of each source needs a person's look though the database has it: rows in quarantine, readings in conflict."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

COUNTED = text("""
    SELECT s.edge, s.fingerprint, sum(k.quarantined), sum(k.conflicts)
    FROM (SELECT source_id, 1 AS quarantined, 0 AS conflicts FROM quarantine
          UNION ALL SELECT source_id, 0, 1 FROM conflicts) AS k
    JOIN sources s ON s.id = k.source_id GROUP BY s.edge, s.fingerprint
""")


@dataclass(frozen=True, slots=True)
class SecondLook:
    """How many rows of a source are in quarantine, and how many of its readings say another value than the stored one."""

    quarantined: int
    conflicts: int


def second_looks(connection: Connection) -> dict[tuple[str, str], SecondLook]:
    """By (edge, fingerprint), as a renamed file keeps its fingerprint; sources without any are left out."""
    return {(edge, mark): SecondLook(int(rows), int(readings)) for edge, mark, rows, readings in connection.execute(COUNTED)}
