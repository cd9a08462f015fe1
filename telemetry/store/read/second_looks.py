"""What of each source needs a person's look: rows in quarantine, readings in conflict or expired, dead letters.

All are by (edge, fingerprint), as a renamed file keeps its fingerprint. Sources without any are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

# Numbers by edge and fingerprint. A letter that does not name its batch has neither.
Letters = dict[tuple[str | None, str | None], int]

COUNTED = text("""
    SELECT s.edge, s.fingerprint, sum(k.quarantined), sum(k.conflicts), sum(k.expired)
    FROM (SELECT source_id, 1 AS quarantined, 0 AS conflicts, 0 AS expired FROM quarantine
          UNION ALL SELECT source_id, 0, 1, 0 FROM conflicts
          UNION ALL SELECT source_id, 0, 0, expired FROM batches WHERE expired > 0
          UNION ALL SELECT source_id, 0, 0, expired FROM ledger_ranges WHERE expired > 0) AS k
    JOIN sources s ON s.id = k.source_id GROUP BY s.edge, s.fingerprint
""")
LETTERS = text("SELECT edge, header -> 'source' ->> 'fingerprint', count(*) FROM dead_letters GROUP BY 1, 2")


@dataclass(frozen=True, slots=True)
class SecondLook:
    """How many rows of a source are in quarantine, how many of its readings say another value than the stored one.

    `expired`: how many came when readings of their time were not kept any more. The database has them in no form.
    """

    quarantined: int
    conflicts: int
    expired: int = 0


def second_looks(connection: Connection) -> dict[tuple[str, str], SecondLook]:
    """What the database has of each source that is not as it should be."""
    return {(edge, mark): SecondLook(*map(int, numbers)) for edge, mark, *numbers in connection.execute(COUNTED)}


def dead_letters(connection: Connection) -> Letters:
    """How many dead letters each source has."""
    return {(edge, fingerprint): number for edge, fingerprint, number in connection.execute(LETTERS)}
