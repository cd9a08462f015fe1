"""Upkeep neither fails nor delays the group it comes after."""

from __future__ import annotations

from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Engine, text

from telemetry.collector import upkeep
from telemetry.collector.upkeep import BUSY_S, Upkeep
from telemetry.settings import Settings
from telemetry.store.upkeep import ledger_folding
from tests.fixtures.services import Query

BATCHES = text("""
    INSERT INTO batches (edge, batch_id, source_id, start_offset, end_offset, first_line, status,
                         rows, stored, duplicate, conflict, blank, quarantined, read_at, published_at, committed_at)
    SELECT edge, n::text, id, n, n + 1, n, 'stored', 1, 1, 0, 0, 0, 0, now(), now(), '2020-01-01'
    FROM sources, generate_series(1, 2) AS n
""")


@pytest.fixture
def due(settings: Settings, engine: Engine) -> Upkeep:
    """Upkeep that is always due."""
    return Upkeep(engine, settings, every_s=0.0)


@pytest.fixture
def batches(engine: Engine) -> None:
    """Two batches that are old enough to be folded."""
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO sources (edge, path, fingerprint, format) VALUES ('e', 'p', 'f', 'dcgm')"))
        connection.execute(BATCHES)


@pytest.mark.usefixtures("batches")
def test_after_a_group_that_took_long_nothing_is_done(due: Upkeep) -> None:
    assert [due.tend(BUSY_S + 1), due.tend(BUSY_S / 2)] == [0, 2]


@pytest.mark.usefixtures("batches")
def test_a_fold_that_takes_long_is_given_up(
    due: Upkeep, engine: Engine, query: Query, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ledger_folding, "PATIENCE_S", 1)
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE batches"))
        assert due.tend(0) == 0
    assert "statement timeout" in caplog.text
    assert due.tend(0) == 2
    assert query("SELECT batches FROM ledger_ranges") == [(2,)]


def test_a_time_limit_that_strikes_now_does_not_fail_the_group(due: Upkeep, monkeypatch: pytest.MonkeyPatch) -> None:
    def overrun(*_: Any) -> int:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(upkeep, "fold", overrun)
    assert due.tend(0) == 0
