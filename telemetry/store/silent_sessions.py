"""Ends sessions of collectors that keep locks and have no client any more, as a network that drops packets leaves them behind.

In the middle of a COPY such a session waits for the rest of the rows, and keeps its locks: on the ids of its batches, which
come again and wait for it.
Postgres cancels no statement while it waits for data of a COPY, so `statement_timeout` does not end it; neither does
`idle_in_transaction_session_timeout`, as it is not idle (PostgreSQL 18, `ProcessClientReadInterrupt` in postgres.c). To be
terminated it heeds. The keepalives of the server (`engine`) find a client that is gone, but none behind a proxy that is not.

Whatever else a transaction waits for, a collector has given it up once its task was ended.
"""

from __future__ import annotations

from sqlalchemy import Engine, text

# A task of a collector is killed after 60 s (`telemetry.celery`), and the transaction that it was in with it.
OLDEST_S = 90.0
# A role may end its own sessions.
END = text("""
    SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND application_name = current_setting('application_name')
      AND (state = 'active' AND wait_event = 'ClientRead' AND query_start < clock_timestamp() - make_interval(secs => :after_s)
        OR xact_start < clock_timestamp() - make_interval(secs => :oldest_s))
""")


def end(engine: Engine, after_s: float, oldest_s: float = OLDEST_S) -> int:
    """End the sessions of this application that have waited for their client in one statement for so long, or are too old.

    Returns how many there were. Raises SQLAlchemyError.
    """
    with engine.connect() as connection:
        return int(connection.scalar(END, {"after_s": after_s, "oldest_s": oldest_s}) or 0)
