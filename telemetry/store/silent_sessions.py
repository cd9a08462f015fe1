"""Ends sessions of collectors that keep locks for a client that has gone silent, as a network that drops packets leaves them.

Such a session waits for the rest of what its client was saying, and keeps its locks: on the ids of its batches, which come
again and wait for it. No time limit of Postgres ends it (PostgreSQL 18, postgres.c). In a COPY it cancels no statement and is
not idle (`ProcessClientReadInterrupt`). Between two commands it is idle, but any message ends the time limit for that, and one
that is no command, such as Flush or Close, begins none anew (`PostgresMain`). To be terminated it heeds. The keepalives of the
server (`engine`) find a client that is gone, but none behind a proxy that is not.
"""

from __future__ import annotations

from sqlalchemy import Engine, text

# A role may end its own sessions.
END = text("""
    SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND application_name = current_setting('application_name')
      AND xact_start IS NOT NULL AND wait_event = 'ClientRead'
      AND state_change < clock_timestamp() - make_interval(secs => :after_s)
""")


def end(engine: Engine, after_s: float) -> int:
    """End the sessions of this application that have waited in a transaction for their client for so long.

    Returns how many there were. Raises SQLAlchemyError.
    """
    with engine.connect() as connection:
        return int(connection.scalar(END, {"after_s": after_s}) or 0)
