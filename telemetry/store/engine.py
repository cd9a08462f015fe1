"""Connects to Postgres. Each session has time limits, so that a frozen process cannot hold a lock for ever.

Each session asks for durable commits, as edges let go of what is committed. A server or a role may have another default.

Of several hosts in the URL psycopg takes the first that accepts writes. One that refuses them later has been demoted: its
connections are given up, so that the next ones go to the new primary.
"""

from __future__ import annotations

import psycopg
from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event

from telemetry.settings import Settings
from telemetry.store import pooler


def make_engine(
    settings: Settings, *, application: str, pool_size: int = 2, connect_timeout_s: int = 5, url: str | None = None
) -> Engine:
    """An engine for one process; connects at first use. `application` shows in pg_stat_activity. `url`: another server."""
    options = {
        "lock_timeout": f"{settings.lock_timeout_s}s",
        "statement_timeout": f"{settings.statement_timeout_s}s",
        "idle_in_transaction_session_timeout": f"{settings.idle_timeout_s}s",
        "synchronous_commit": "on",
        "timezone": "UTC",
        # Behind a network that drops packets: without these the server keeps the session, with its locks, for hours.
        "tcp_keepalives_idle": "15",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
        # No query here runs long enough to gain from it, and those of many steps lose a second to it.
        "jit": "off",
    }
    pooler.check(settings, application)
    is_pooled = settings.database_pooled and url in {None, settings.database_url}
    # A pooler takes no options, and prepared statements do not last in its sessions.
    session = {"prepare_threshold": None} if is_pooled else {"options": " ".join(f"-c {n}={v}" for n, v in options.items())}
    engine = create_engine(
        url or settings.database_url,
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={
            "application_name": f"telemetry-{application}",
            "connect_timeout": connect_timeout_s,
            # For a network that drops packets: without these a dead peer is noticed only after hours.
            "keepalives_idle": 15,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
            **session,
        },
    )
    event.listen(engine, "handle_error", _leave_who_takes_no_writes)
    if is_pooled:
        pooler.install(engine)
    return engine


def driver(connection: Connection) -> psycopg.Connection:
    """The driver's connection beneath one, for what SQLAlchemy has no words for, such as COPY. It raises psycopg's errors."""
    beneath = connection.connection.driver_connection
    assert isinstance(beneath, psycopg.Connection), "the engine's URL names psycopg"  # noqa: S101
    return beneath


def _leave_who_takes_no_writes(context: ExceptionContext) -> None:
    if isinstance(context.original_exception, psycopg.errors.ReadOnlySqlTransaction):
        context.is_disconnect = True
