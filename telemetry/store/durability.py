"""Whether Postgres keeps what it has committed when it crashes: an edge deletes from its spool what was committed once.

Three settings decide it. An administrator may have turned one off for speed, and nothing else would tell before the crash.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

# https://www.postgresql.org/docs/current/runtime-config-wal.html says what each costs in a crash.
OFF = text("""
    SELECT name FROM pg_settings
    WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off' ORDER BY name
""")


def advice(connection: Connection) -> str | None:
    """What to change, None if a commit lasts."""
    off = list(connection.scalars(OFF))
    if not off:
        return None
    return (
        f"{', '.join(off)} of this Postgres {'is' if len(off) == 1 else 'are'} off: a crash can lose or damage what edges "
        f"were told is stored; turn {'it' if len(off) == 1 else 'them'} on"
    )
