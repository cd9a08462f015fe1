"""The heart knows when the loop stopped, and says so in files too."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from telemetry.monitoring.port import heartbeat
from telemetry.monitoring.port.heartbeat import Heartbeat


def test_a_loop_that_stopped_is_dead_unless_the_broker_is_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    now = time.monotonic()
    file = tmp_path / "beating"
    heart = Heartbeat(file, "c", "collector")
    assert heart.is_alive()
    monkeypatch.setattr(time, "monotonic", lambda: now + heartbeat.LIMIT_S + 1)
    heart.beat_unless(reachable=True)
    assert not heart.is_alive()
    assert not file.exists()
    heart.beat_unless(reachable=False)
    assert heart.is_alive()
    assert file.exists()


def test_a_file_is_there_while_the_broker_answers_a_loop_that_turns(tmp_path: Path) -> None:
    file, ready = tmp_path / "beating", tmp_path / "beating.ready"
    for left in (file, ready):
        left.touch()
    heart = Heartbeat(file, "c", "collector")
    assert not file.exists()
    assert not ready.exists()
    for turned, reachable, there in ((0, True, False), (0, False, False), (1, True, True), (0, False, False), (0, True, True)):
        if turned:
            heart.beat()
        heart.beat_unless(reachable)
        assert ready.exists() is there


def test_a_file_that_cannot_be_touched_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Heartbeat(tmp_path / "none" / "beating", "c", "collector").beat()
    assert "cannot touch the heartbeat file" in caplog.text
