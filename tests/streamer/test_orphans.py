"""Which sources count as orphans, and when."""

from __future__ import annotations

from pathlib import Path

import pytest

from telemetry.progress.state import SourceState
from telemetry.progress.window import Window
from telemetry.settings import Settings
from telemetry.streamer.orphans import Orphans
from telemetry.streamer.source import SourceFile
from tests.states import source_state
from tests.streamer.edge import HEADER, rows

GRACE_S = 60.0


@pytest.fixture
def orphans() -> Orphans:
    return Orphans(GRACE_S, Settings())


def unfinished(path: Path, **changes: object) -> SourceState:
    return source_state(path=str(path), window=Window(50, 7), **changes)


def test_a_missing_file_is_an_orphan_when_its_grace_is_over(orphans: Orphans, tmp_path: Path) -> None:
    known = {"a": unfinished(tmp_path / "a.csv")}
    assert orphans.due(known, held=(), paths=(), now_s=100.0) == {}
    assert orphans.due(known, held=(), paths=(), now_s=100.0 + GRACE_S - 1) == {}
    assert orphans.due(known, held=(), paths=(), now_s=100.0 + GRACE_S) == known


def test_a_file_that_came_back_gets_its_grace_anew(orphans: Orphans, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + rows(0, 3))
    with SourceFile.open(path, max_record=1 << 16, final=True) or pytest.fail("it has a record") as source:
        known = {"a": unfinished(path, fingerprint=source.head.fingerprint)}
    path.rename(tmp_path / "away")
    assert orphans.due(known, held=(), paths=(), now_s=0.0) == {}
    (tmp_path / "away").rename(path)
    assert orphans.due(known, held=(), paths=(), now_s=GRACE_S) == {}
    path.unlink()
    assert orphans.due(known, held=(), paths=(), now_s=GRACE_S + 1) == {}
    assert orphans.due(known, held=(), paths=(), now_s=2 * GRACE_S + 1) == known


def test_another_file_under_the_name_is_not_its_file(orphans: Orphans, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + rows(0, 3))
    known = {"a": unfinished(path, fingerprint="of another file")}
    orphans.due(known, held=(), paths=(), now_s=0.0)
    assert orphans.due(known, held=(), paths=(), now_s=GRACE_S) == known


def test_what_is_held_committed_or_foreign_is_no_orphan(orphans: Orphans, tmp_path: Path) -> None:
    gone = tmp_path / "a.csv"
    known = {"held": unfinished(gone), "done": source_state(path=str(gone)), "foreign": unfinished(gone, foreign=True)}
    orphans.due(known, held={"held"}, paths=(), now_s=0.0)
    assert orphans.due(known, held={"held"}, paths=(), now_s=GRACE_S) == {}


def test_a_source_that_another_streamer_holds_is_spared(orphans: Orphans, tmp_path: Path) -> None:
    known = {"a": unfinished(tmp_path / "a.csv")}
    orphans.due(known, held=(), paths=(), now_s=0.0)
    orphans.spare("a")
    assert orphans.due(known, held=(), paths=(), now_s=GRACE_S) == {}
