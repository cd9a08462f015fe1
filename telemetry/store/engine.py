"""Connects to Postgres. Each session has time limits, so that a frozen process cannot hold a lock for ever."""

from __future__ import annotations

from sqlalchemy import Engine, create_engine

from telemetry.settings import Settings


def make_engine(settings: Settings, *, application: str, pool_size: int = 2) -> Engine:
    """An engine for one process; connects at first use. `application` shows in pg_stat_activity."""
    options = {
        "lock_timeout": settings.lock_timeout_s,
        "statement_timeout": settings.statement_timeout_s,
        "idle_in_transaction_session_timeout": settings.idle_timeout_s,
    }
    return create_engine(
        settings.database_url,
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={
            "application_name": f"telemetry-{application}",
            "connect_timeout": 5,
            # For a network that drops packets: without these a dead peer is noticed only after hours.
            "keepalives_idle": 15,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
            "options": " ".join(f"-c {name}={seconds}s" for name, seconds in options.items()) + " -c timezone=UTC",
        },
    )
