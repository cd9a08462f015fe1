"""GPUs without a UUID that two edges of one cluster tell of by the same host and index. They are kept apart."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, text

# By the readings of the last two days, so that it is over when the files say otherwise.
SAME_NAMES = text("""
    WITH recent AS (
        SELECT p.edge, p.place, p.gpu_id FROM gpu_places p JOIN gpus g ON g.id = p.gpu_id
        WHERE g.uuid IS NULL AND EXISTS (
            SELECT FROM allocations a WHERE a.gpu_id = p.gpu_id AND a.day > (now() AT TIME ZONE 'UTC')::date - 2
        )
    )
    SELECT a.edge, a.place, min(b.edge) AS other FROM recent a JOIN recent b USING (place)
    WHERE a.gpu_id <> b.gpu_id AND a.edge <> b.edge AND split_part(a.edge, '/', 1) = split_part(b.edge, '/', 1)
    GROUP BY a.edge, a.place ORDER BY a.edge, a.place LIMIT :limit
""")
MAX_NAMES = 10_000


class SameName(NamedTuple):
    """A GPU that an edge tells of, and another edge that tells of one of this name."""

    edge: str
    place: str
    other: str

    @property
    def advice(self) -> str:
        """One line for a person."""
        return (
            f"{self.edge} and {self.other} both tell of a GPU {self.place}, and none of its UUID; they are kept apart: "
            "let the files name the UUID, or give each machine a host name of its own"
        )


def same_names(connection: Connection) -> list[SameName]:
    """What is told of by two edges of a cluster, from each side."""
    return [SameName(*row) for row in connection.execute(SAME_NAMES, {"limit": MAX_NAMES})]
