"""`telemetry db` seals days by hand, and shows and checks what stands in which form."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from telemetry.cli import main
from telemetry.collector.writer import BatchWriter
from telemetry.settings import Settings
from telemetry.store import hours
from telemetry.store.upkeep.chores import SEALING
from tests.batches import batch, key, now_s, readings

Db = Callable[..., Result]


@pytest.fixture
def db(environ: dict[str, str], settings: Settings, engine: Engine) -> Db:
    """Run a command on a database with two old days and the present one."""
    rows = [(key(metric), second, 5.5) for metric in ("m1", "m2") for second in (0, 1, 86_400, now_s())]
    BatchWriter(settings, engine).write([batch(readings(*rows))])
    return lambda *args: CliRunner(env=environ).invoke(main, ["db", *args])


def said(result: Result, code: int = 0) -> Any:
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_days_are_sealed_by_hand_and_seen_in_all_commands(db: Db) -> None:
    assert said(db("seal", "--json")) == {"sealed": 6, "left": False}
    assert said(db("seal", "--json")) == {"sealed": 0, "left": False}
    month = said(db("partitions", "--json"))[0]
    assert (month["level"], month["first_day"], month["end_day"]) == ("sealed", "2025-07-01", "2025-08-01")
    levels = {row["level"]: row for row in said(db("stats", "--json"))["levels"]}
    assert levels["sealed"]["samples"] == 6
    assert levels["rows"]["tables"] == 1
    assert said(db("check", "--json")) == {"wrong": []}
    for command in ("partitions", "stats", "check"):
        assert "sealed" in db(command).output


def test_check_finds_what_is_wrong(db: Db, engine: Engine) -> None:
    db("seal")
    with engine.begin() as connection:
        connection.execute(text("UPDATE sealed SET low = low[2:], n = n WHERE day = '2025-07-18' AND series_id = 1"))
        connection.execute(text("DELETE FROM sealed WHERE day = '2025-07-19' AND series_id = 1"))
    wrong = said(db("check", "--json"), code=1)["wrong"]
    assert [line.partition(":")[0] for line in wrong] == [
        "series 1 of 2025-07-18",
        "days 2025-07-01 to 2025-08-01, the last excluded",
    ]


def test_check_finds_hours_that_do_not_fit(db: Db, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hours, "MIN_SAMPLES", 1)
    db("seal")
    assert said(db("check", "--json")) == {"wrong": []}
    with engine.begin() as connection:
        connection.execute(text("UPDATE sealed SET hours[45] = 1 WHERE day = '2025-07-18' AND series_id = 1"))
    wrong = said(db("check", "--json"), code=1)["wrong"]
    assert wrong == ["series 1 of 2025-07-18: what its hours come to does not fit its samples"]


def test_a_day_that_is_not_over_is_refused(db: Db) -> None:
    result = db("seal", "--before", "2999-01-01")
    assert result.exit_code == 2
    assert "not over" in result.output


def test_it_says_so_if_another_process_seals(db: Db, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SEALING.lock_key})
        result = db("seal")
    assert result.exit_code == 1
    assert "another process" in result.output


def test_a_month_of_sealed_days_is_dropped_when_somebody_has_said_so(db: Db, engine: Engine) -> None:
    db("seal")
    asked = db("drop", "2025-07")
    assert (asked.exit_code, "6 samples of 2025-07 go for ever" in asked.output) == (1, True)
    assert said(db("drop", "2025-07", "--yes", "--json")) == {"dropped": 6}
    assert said(db("drop", "2025-07", "--yes", "--json")) == {"dropped": 0}
    assert said(db("check", "--json")) == {"wrong": []}
    with engine.begin() as connection:
        connection.execute(text("UPDATE sealed_spans SET sealed_at = NULL"))
    refused = db("drop", "2025-07", "--yes")
    assert (refused.exit_code, "being sealed, nothing was dropped" in refused.output) == (1, True)
