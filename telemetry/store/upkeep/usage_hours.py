"""Sums up how GPUs were used, hour by hour, where collectors have marked that readings came.

An hour is summed up once it is over and has settled, and again when readings of it come late. Its summary stays when the
samples are dropped: an hour without a sample in it is left as it was. The lock and the time limit are those of `chores`.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, text

from telemetry.settings import Settings
from telemetry.store.upkeep import ages
from telemetry.store.usage_facts import COLUMNS, FACTS, PARAMETERS, SUMS

# After its end an hour still gets readings; collectors mark it for each of them once half of this has passed.
SETTLES_S = 1200
MAX_MARKS = 1000
HOUR = timedelta(hours=1)

# The marks go first, and the sums are of a later snapshot: so a mark that comes meanwhile stays for the next time. With the
# oldest go all others of the same hours: what comes late marks its hour with each batch.
TAKE = text("""
    WITH oldest AS MATERIALIZED (
        SELECT gpu_id, hour FROM usage_marks
        WHERE hour < CAST(:now AS timestamptz) - make_interval(secs => 3600 + :settles_s) ORDER BY hour, id LIMIT :limit
    ), due AS (SELECT DISTINCT gpu_id, hour FROM oldest)
    DELETE FROM usage_marks m USING due WHERE m.hour = due.hour AND m.gpu_id = due.gpu_id RETURNING m.gpu_id, m.hour
""")

SUM_UP = text(f"""
    WITH wanted AS MATERIALIZED (
        SELECT gpu_id, minute AS low, minute + 60 AS high
        FROM unnest(CAST(:gpu_ids AS bigint[]), CAST(:minutes AS integer[])) AS w (gpu_id, minute)
    ), {FACTS}
    INSERT INTO usage_hours AS u ({", ".join(COLUMNS)})
    SELECT {", ".join(COLUMNS)} FROM facts ORDER BY 1, 2, 3, 4
    ON CONFLICT (hour, gpu_id, instance, owner_id) DO UPDATE SET {", ".join(f"{name} = EXCLUDED.{name}" for name in SUMS)}
    WHERE EXCLUDED.known_s > 0 OR EXCLUDED.counter_j + EXCLUDED.power_j > 0
        OR NOT (u.known_s > 0 OR u.counter_j + u.power_j > 0)
""")  # noqa: S608 - names of columns


def sum_up(connection: Connection, _: Settings, limit: int) -> int:
    """Sum up hours that are marked and have settled, as the chore does. Returns how many of the oldest marks are gone."""
    return sum_oldest(connection, limit)


def sum_oldest(connection: Connection, limit: int = MAX_MARKS) -> int:
    """The same, the oldest hours first, by the `limit` oldest marks. The caller has the chore's lock."""
    # By a clock that is ahead an hour would be summed up before it is over, and never again.
    marks = connection.execute(TAKE, {"now": ages.now(connection), "settles_s": SETTLES_S, "limit": limit}).all()
    if marks:
        hours = sorted({(mark.gpu_id, mark.hour) for mark in marks})
        connection.execute(
            SUM_UP,
            PARAMETERS
            | {
                "gpu_ids": [gpu_id for gpu_id, _ in hours],
                "minutes": [int(hour.timestamp()) // 60 for _, hour in hours],
                "first": min(hour for _, hour in hours) - HOUR,
                "last": max(hour for _, hour in hours) + HOUR,
            },
        )
    return min(len(marks), limit)
