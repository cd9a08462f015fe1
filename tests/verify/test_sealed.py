"""Files are compared with sealed days as with rows, and what came late beside them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from telemetry.cli.verify import examine
from telemetry.settings import Settings
from telemetry.store.partitions import EPOCH, Partitions
from telemetry.store.upkeep import sealing
from tests.store.upkeep.test_sealing import seal_all
from tests.verify.test_compare import START, Store, row, written


def test_a_file_of_a_sealed_day_agrees_and_differences_are_found(
    engine: Engine, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "QUIET_S", 0.0)
    Partitions(engine).ensure([(START - EPOCH) // timedelta(days=1)])
    file = tmp_path / "file.csv"
    written(file, row(1, 31), row(2, 32.5))
    with engine.connect() as plain:
        store = Store(plain.execution_options(isolation_level="AUTOCOMMIT"))
        for second, value in ((0, 30), (1, 31), (2, 99), (1.5, 33)):
            store.sample(second, value)
    assert seal_all(engine, replace(settings, seal_after_days=1)) == 3
    outcome = examine(settings, [file])
    assert {name: outcome.counts[name] for name in ("stored", "conflict", "missing", "extra")} == {
        "stored": 2,
        "conflict": 1,
        "missing": 0,
        "extra": 1,
    }
