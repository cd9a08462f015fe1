"""Whether a commit lasts: the settings of the server under which a crash may take back what was committed.

An acknowledgement lets an edge delete its file, so a commit must be on disk when COMMIT returns. `engine` asks for that in
each session, whatever the server or the role has as its default. What no session can ask for is looked at here.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, text

# https://www.postgresql.org/docs/current/runtime-config-wal.html
LOOK = text("""
    SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
           current_setting('synchronous_commit') AS synchronous_commit
""")
COSTS = {
    "fsync": "a crash of its machine may damage the database or take back commits",
    "full_page_writes": "a crash of its machine may damage the database",
    "synchronous_commit": "a crash may take back the latest commits (something between here and Postgres drops the option)",
}


class Durability(NamedTuple):
    """The settings that decide, as this session has them."""

    fsync: str
    full_page_writes: str
    synchronous_commit: str

    @property
    def advice(self) -> str | None:
        """What to change, None if commits last."""
        unsafe = [name for name, value in self._asdict().items() if value == "off"]
        if not unsafe:
            return None
        costs = "; ".join(f"{name} is off: {COSTS[name]}" for name in unsafe)
        return f"this Postgres may lose what it has committed, and files may be deleted by then: {costs}. Set it to on"


def look(connection: Connection) -> Durability:
    """The settings of the server, as this session has them."""
    return Durability(*connection.execute(LOOK).one())
