"""`telemetry db retention` shows what would be dropped, drops it when somebody has said so, and lets the floor fall again."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from telemetry.cli import main, steps
from telemetry.collector.writer import BatchWriter
from telemetry.settings import Settings
from telemetry.store.upkeep import chores
from telemetry.store.upkeep.chores import SEALING, USAGE
from tests.batches import batch, readings
from tests.store.upkeep.test_retention import at

Db = Callable[..., Result]


@pytest.fixture
def db(environ: dict[str, str], settings: Settings, engine: Engine) -> Db:
    """Run `telemetry db retention` on a database with old samples and new ones."""
    BatchWriter(settings, engine).write([batch(readings(at(400, 1800), at(31, 1800), at(31, 1860), at(0)))])
    summed_up(engine, settings)
    return lambda *args: CliRunner(env=environ).invoke(main, ["db", "retention", *args])


def summed_up(engine: Engine, settings: Settings) -> None:
    while chores.run(engine, settings, USAGE, 1000):
        pass


def said(result: Result, code: int = 0) -> Any:
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def day(ago: int) -> str:
    return str((datetime.now(UTC) - timedelta(days=ago)).date())


def test_it_is_off_unless_set(db: Db) -> None:
    assert "retention of samples is off" in db().output
    assert "retention of samples is off" in db("--yes").output
    assert said(db("--json"))["plan"] is None


def test_it_only_looks_until_somebody_says_yes(db: Db) -> None:
    plan = said(db("--days", "30", "--json"))["plan"]
    assert (plan["samples"], plan["floor"], plan["floor_then"]) == (3, None, day(30))
    assert [part["samples"] for part in plan["parts"]] == [1, 2]
    shown = db("--days", "30").output
    assert "3 samples, " in shown
    assert f"the floor would be {day(30)}: --yes does it" in shown
    assert said(db("--days", "30", "--json"))["plan"] == plan
    assert said(db("--days", "30", "--yes", "--json")) == {"dropped": 3, "partitions": 2, "floor": day(30)}
    assert said(db("--days", "30", "--yes", "--json")) == {"dropped": 0, "partitions": 0, "floor": day(30)}
    assert f"samples    kept since {day(30)}; 3 samples dropped so far" in db("--days", "30").output


def test_days_whose_usage_is_not_summed_up_wait_until_somebody_says_yes(db: Db, engine: Engine, settings: Settings) -> None:
    BatchWriter(settings, engine).write([batch(readings(at(390, 1800)), "b2")])
    # What is before waits for nothing.
    assert "  1 sample" in db("--days", "30").output
    assert "more waits until the usage of its hours is summed up" in db("--days", "30").output
    assert said(db("--days", "30", "--yes", "--json"))["dropped"] == 4


def test_the_setting_says_how_many_days(db: Db, environ: dict[str, str]) -> None:
    done = CliRunner(env=environ | {"TELEMETRY_RETENTION_DAYS": "100"}).invoke(main, ["db", "retention", "--yes", "--json"])
    assert said(done) == {"dropped": 1, "partitions": 1, "floor": day(100)}


def test_the_floor_falls_when_a_person_says_so_and_the_audit_log_has_who_did(db: Db, engine: Engine) -> None:
    assert said(db("--store-again-from", day(60), "--json")) == {"has_fallen": False, "sources": 0}
    assert "are stored anyway" in db("--store-again-from", day(60)).output
    db("--days", "30", "--yes")
    assert "are stored when they come again" in db("--store-again-from", day(60)).output
    assert said(db("--json"))["levels"][0]["kept_since"].startswith(day(60))
    with engine.connect() as connection:
        log = connection.execute(text("SELECT action, detail FROM audit_log ORDER BY id")).all()
    assert log == [("retention.drop", {"days": 30}), ("retention.lower", {"from": day(60), "sources": 0})]


def test_it_says_so_if_another_process_seals(db: Db, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SEALING.lock_key})
        result = db("--days", "30", "--yes")
    assert result.exit_code == 1
    assert "another process" in result.output


def test_it_gives_up_where_a_reader_keeps_its_lock(db: Db, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "PATIENCE_S", 0.0)
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE ONLY samples IN ACCESS SHARE MODE"))
        result = db("--days", "30", "--yes")
    assert (result.exit_code, "others kept their locks" in result.output) == (1, True)
