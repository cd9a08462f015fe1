"""Commits are durable whatever the server's default is, and what no session can ask for is told."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine, text

from telemetry.settings import Settings
from telemetry.store import durability
from telemetry.store.durability import Durability
from telemetry.store.engine import make_engine


@pytest.mark.parametrize("of", ["ROLE", "DATABASE"])
def test_sessions_ask_for_durable_commits_where_the_default_is_another(
    server: psycopg.Connection[tuple[object]], settings: Settings, engine: Engine, of: str
) -> None:
    with engine.connect() as connection:
        name = connection.scalar(text("SELECT current_user" if of == "ROLE" else "SELECT current_database()"))
    kind = sql.SQL(of)
    server.execute(sql.SQL("ALTER {} {} SET synchronous_commit = off").format(kind, sql.Identifier(name)))
    try:
        later = make_engine(settings, application="test")
        with later.connect() as connection:
            assert durability.look(connection).synchronous_commit == "on"
        later.dispose()
    finally:
        server.execute(sql.SQL("ALTER {} {} RESET synchronous_commit").format(kind, sql.Identifier(name)))


def test_unsafe_settings_are_named_with_what_they_cost() -> None:
    assert Durability("on", "on", "on").advice is None
    assert Durability("on", "on", "remote_apply").advice is None
    advice = Durability("off", "on", "off").advice
    assert advice is not None
    assert "fsync is off" in advice
    assert "synchronous_commit is off" in advice
    assert "full_page_writes" not in advice
