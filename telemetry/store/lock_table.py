"""Whether the server's table of locks is large enough: without room in it, queries and commits fail.

A query over all of time locks each partition of `samples` and its index. Only an administrator can enlarge the table, and the
server must be started again for it.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, text

# Queries over all of time that run at once, and days that are to come.
QUERIES = 16
SPARE_PARTITIONS = 366
LOCKS_A_PARTITION = 2
# https://www.postgresql.org/docs/current/runtime-config-locks.html says how many locks there is room for.
LOOK = text("""
    SELECT current_setting('max_locks_per_transaction')::bigint AS locks,
           current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint AS sessions,
           (SELECT count(*) FROM pg_inherits WHERE inhparent = to_regclass('samples')) AS partitions
""")


class LockTable(NamedTuple):
    """The setting `max_locks_per_transaction`, the sessions it is multiplied by, and the partitions of `samples`."""

    locks: int
    sessions: int
    partitions: int

    @property
    def advice(self) -> str | None:
        """What to change, None if there is room enough."""
        needed = QUERIES * LOCKS_A_PARTITION * (self.partitions + SPARE_PARTITIONS)
        if self.locks * self.sessions >= needed:
            return None
        locks = 1 << (-(-needed // self.sessions) - 1).bit_length()
        return (
            f"max_locks_per_transaction of this Postgres is {self.locks}: room for {self.locks * self.sessions:,} locks; "
            f"{QUERIES} queries over all of time, with {self.partitions:,} partitions and those of a year to come, need "
            f"{needed:,}: set it to {locks} and start Postgres again"
        )


def look(connection: Connection) -> LockTable:
    """The lock table of the server, and what it is for."""
    return LockTable(*connection.execute(LOOK).one())
