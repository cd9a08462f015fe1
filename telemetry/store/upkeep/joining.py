"""Joins GPUs that files tell of by host and index to the ones that others tell of by UUID, where both are known to be one.

It is known where edges of one cluster tell of one GPU with a UUID at a host and index, and of one without. Series and
allocations, and with them usage and findings, become those of the GPU with the UUID, and keep their samples: a series that was
told of under the other name is found by that name, as the number of that GPU is behind the digest of its labels
(`series_gpus`). Where a second UUID appears at the place, such as that of a GPU put in for a broken one, the two are parted
again: nobody can tell which readings were whose.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from telemetry.settings import Settings
from telemetry.store.usage_facts import COLUMNS

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
# What was found of the GPU as a whole is found anew of the other.
MOVE_FINDINGS = text("UPDATE findings SET gpu_id = :joined_id WHERE gpu_id = :gpu_id AND series_id <> 0")
DROP_FINDINGS = text("DELETE FROM findings WHERE gpu_id = :gpu_id AND series_id = 0")
PART = text("DELETE FROM gpu_joins WHERE gpu_id = :gpu_id")
MOVE_BACK = text("""
    UPDATE series SET gpu_id = :gpu_id, labels_digest = substr(labels_digest, 1, 16)
    WHERE gpu_id = :joined_id AND substr(labels_digest, 17) = int8send(:gpu_id)
""")
MOVE_FINDINGS_BACK = text("""
    UPDATE findings f SET gpu_id = :gpu_id FROM series s
    WHERE f.gpu_id = :joined_id AND s.id = f.series_id AND s.gpu_id = :gpu_id
""")
# Again each time, as the next two: a collector may know the GPU by its number of before. What is moved is summed up anew.
MOVE_ALLOCATIONS = text("""
    WITH moved AS (
        DELETE FROM allocations a USING gpu_joins j WHERE a.gpu_id = j.gpu_id
        RETURNING j.joined_id, a.day, a.instance, a.owner_id, a.held
    ), marked AS (
        INSERT INTO usage_marks (gpu_id, hour)
        SELECT DISTINCT joined_id, hour FROM moved CROSS JOIN LATERAL unnest(held) AS r (span)
        CROSS JOIN LATERAL generate_series(
            date_trunc('hour', lower(span), 'UTC'), upper(span) - interval '1 minute', interval '1 hour') AS hour
    )
    INSERT INTO allocations AS a (gpu_id, day, instance, owner_id, held)
    SELECT joined_id, day, instance, owner_id, range_agg(part) FROM moved CROSS JOIN LATERAL unnest(held) AS part
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (gpu_id, day, instance, owner_id) DO UPDATE SET held = a.held + EXCLUDED.held
""")
MOVE_USAGE_MARKS = text("UPDATE usage_marks m SET gpu_id = j.joined_id FROM gpu_joins j WHERE m.gpu_id = j.gpu_id")
# Sums of which the samples were dropped stay, where the other GPU has none for the hour.
MOVE_USAGE_HOURS = text(f"""
    WITH moved AS (
        DELETE FROM usage_hours u USING gpu_joins j WHERE u.gpu_id = j.gpu_id RETURNING j.joined_id, u.*
    )
    INSERT INTO usage_hours ({", ".join(COLUMNS)})
    SELECT {", ".join("joined_id" if name == "gpu_id" else name for name in COLUMNS)} FROM moved
    ON CONFLICT DO NOTHING
""")  # noqa: S608 - names of columns


def join(connection: Connection, settings: Settings, limit: int) -> int:  # noqa: ARG001 - every chore gets them
    """Join and part what is known to be so, in the caller's transaction, so many GPUs at most. Returns how many."""
    changes = connection.execute(CHANGES, {"limit": limit}).all()
    for gpu_id, is_joined_to, belongs_to in changes:
        connection.execute(LOCK, {"gpu_id": gpu_id})
        ways = (is_joined_to, (PART, MOVE_BACK, MOVE_FINDINGS_BACK)), (belongs_to, (JOIN, MOVE, MOVE_FINDINGS, DROP_FINDINGS))
        for other, statements in ways:
            for statement in statements if other is not None else ():
                connection.execute(statement, {"gpu_id": gpu_id, "joined_id": other})
    for statement in (MOVE_ALLOCATIONS, MOVE_USAGE_MARKS, MOVE_USAGE_HOURS):
        connection.execute(statement)
    return len(changes)
