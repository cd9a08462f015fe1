"""Sessions behind a pooler: what a role must have, who may use one. PgBouncer itself is tried by scripts/pgbouncer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from telemetry.doctor.database import fault
from telemetry.settings import Settings, SettingsError
from telemetry.store import pooler
from telemetry.store.engine import make_engine

WELL = {
    "lock_timeout": "10s",
    "statement_timeout": "15s",
    "idle_in_transaction_session_timeout": "30s",
    "synchronous_commit": "on",
    "TimeZone": "UTC",
}


def test_what_a_role_lacks() -> None:
    assert pooler.missing(WELL) == []
    assert pooler.missing({**WELL, "lock_timeout": "0", "TimeZone": "Asia/Tokyo", "synchronous_commit": "off"}) == [
        "lock_timeout = '10s'",
        "synchronous_commit = 'on'",
        "TimeZone = 'UTC'",
    ]


def test_a_session_without_limits_is_refused_with_the_mend(settings: Settings) -> None:
    engine = make_engine(replace(settings, database_pooled=True), application="api")
    with pytest.raises(OperationalError, match=r"ALTER ROLE .* SET lock_timeout = '10s'"):
        engine.connect()
    engine.dispose()


def test_nothing_but_the_api_works_through_one(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="only the API"):
        make_engine(replace(settings, database_pooled=True), application="collector")
    engine = make_engine(settings, application="collector")
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW lock_timeout")) == f"{settings.lock_timeout_s}s"
    engine.dispose()


def test_doctor_knows_what_a_pooler_says() -> None:
    said = 'connection to server at "h", port 6432 failed: FATAL:  unsupported startup parameter: options'
    assert "TELEMETRY_DATABASE_POOLED" in fault(said, None).mend
