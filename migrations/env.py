"""Alembic's environment: online migrations under an advisory lock, with a lock timeout."""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Engine, text

from telemetry.settings import Settings
from telemetry.store import locks
from telemetry.store.engine import make_engine
from telemetry.store.models import Base

engine: Engine = context.config.attributes.get("engine") or make_engine(Settings.load(os.environ), application="migrate")

with engine.connect() as connection:
    connection.execute(text("SET statement_timeout = 0"))
    connection.execute(text("SET lock_timeout = '60s'"))
    connection.execute(text("SET idle_in_transaction_session_timeout = 0"))
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": locks.MIGRATION})
    connection.commit()
    try:
        context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=True)
        with context.begin_transaction():
            context.run_migrations()
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": locks.MIGRATION})
        connection.commit()
        connection.invalidate()
