"""Joins GPUs that files tell of by host and index to the ones that others tell of by UUID, where both are known to be one.

It is known where edges of one cluster tell of one GPU with a UUID at a host and index, and of one without. Series and
allocations become those of the GPU with the UUID, and keep their samples: a series that was told of under the other name is
found by that name, as the number of that GPU is behind the digest of its labels (`series_gpus`). Where a second UUID appears at
the place, such as that of a GPU put in for a broken one, the two are parted again: nobody can tell which readings were whose.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from telemetry.settings import Settings

MAX_GPUS = 200

# What is joined and should not be, and what should be and is not.
CHANGES = text("""
    WITH told AS (
        SELECT DISTINCT split_part(p.edge, '/', 1) AS cluster, p.place, g.id, g.uuid IS NULL AS is_unnamed
        FROM gpu_places p JOIN gpus g ON g.id = p.gpu_id
    ), pairs AS (
        SELECT min(id) FILTER (WHERE is_unnamed) AS gpu_id, min(id) FILTER (WHERE NOT is_unnamed) AS joined_id
        FROM told GROUP BY cluster, place
        HAVING count(*) = 2 AND count(*) FILTER (WHERE is_unnamed) = 1
    ), wanted AS (
        SELECT gpu_id, min(joined_id) AS joined_id FROM pairs GROUP BY gpu_id HAVING count(DISTINCT joined_id) = 1
    )
    SELECT coalesce(j.gpu_id, w.gpu_id) AS gpu_id, j.joined_id AS is_joined_to, w.joined_id AS belongs_to
    FROM gpu_joins j FULL JOIN wanted w ON w.gpu_id = j.gpu_id
    WHERE j.joined_id IS DISTINCT FROM w.joined_id ORDER BY 1 LIMIT :limit
""")
# Collectors lock the row too before they make series of a GPU, and look after that whose series these are.
LOCK = text("SELECT FROM gpus WHERE id = :gpu_id FOR UPDATE")
JOIN = text("INSERT INTO gpu_joins (gpu_id, joined_id) VALUES (:gpu_id, :joined_id)")
MOVE = text("UPDATE series SET gpu_id = :joined_id, labels_digest = labels_digest || int8send(:gpu_id) WHERE gpu_id = :gpu_id")
PART = text("DELETE FROM gpu_joins WHERE gpu_id = :gpu_id")
MOVE_BACK = text("""
    UPDATE series SET gpu_id = :gpu_id, labels_digest = substr(labels_digest, 1, 16)
    WHERE gpu_id = :joined_id AND substr(labels_digest, 17) = int8send(:gpu_id)
""")
# Again each time: a collector may know the GPU by its number of before.
MOVE_ALLOCATIONS = text("""
    WITH moved AS (
        DELETE FROM allocations a USING gpu_joins j WHERE a.gpu_id = j.gpu_id
        RETURNING j.joined_id, a.day, a.instance, a.owner_id, a.held
    )
    INSERT INTO allocations AS a (gpu_id, day, instance, owner_id, held)
    SELECT joined_id, day, instance, owner_id, range_agg(held) FROM moved GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (gpu_id, day, instance, owner_id) DO UPDATE SET held = a.held + EXCLUDED.held
""")


def join(connection: Connection, settings: Settings, limit: int) -> int:  # noqa: ARG001 - every chore gets them
    """Join and part what is known to be so, in the caller's transaction, so many GPUs at most. Returns how many."""
    changes = connection.execute(CHANGES, {"limit": limit}).all()
    for gpu_id, is_joined_to, belongs_to in changes:
        connection.execute(LOCK, {"gpu_id": gpu_id})
        for other, statements in ((is_joined_to, (PART, MOVE_BACK)), (belongs_to, (JOIN, MOVE))):
            for statement in statements if other is not None else ():
                connection.execute(statement, {"gpu_id": gpu_id, "joined_id": other})
    connection.execute(MOVE_ALLOCATIONS)
    return len(changes)
