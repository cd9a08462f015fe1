"""What of each source needs a person's look: rows in quarantine, readings in conflict, dead letters.

All are by (edge, fingerprint), as a renamed file keeps its fingerprint. Sources without any are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

# Numbers by edge and fingerprint. A letter that does not name its batch has neither.
Letters = dict[tuple[str | None, str | None], int]

COUNTED = text("""
    SELECT s.edge, s.fingerprint, sum(k.quarantined), sum(k.conflicts)
    FROM (SELECT source_id, 1 AS quarantined, 0 AS conflicts FROM quarantine
          UNION ALL SELECT source_id, 0, 1 FROM conflicts) AS k
    JOIN sources s ON s.id = k.source_id GROUP BY s.edge, s.fingerprint
""")
LETTERS = text("SELECT edge, header -> 'source' ->> 'fingerprint', count(*) FROM dead_letters GROUP BY 1, 2")


@dataclass(frozen=True, slots=True)
class SecondLook:
    """How many rows of a source are in quarantine, and how many of its readings say another value than the stored one."""

    quarantined: int
    conflicts: int


def second_looks(connection: Connection) -> dict[tuple[str, str], SecondLook]:
    """What the database has of each source that is not as it should be."""
    return {(edge, mark): SecondLook(int(rows), int(readings)) for edge, mark, rows, readings in connection.execute(COUNTED)}


def dead_letters(connection: Connection) -> Letters:
    """How many dead letters each source has."""
    return {(edge, fingerprint): number for edge, fingerprint, number in connection.execute(LETTERS)}
