"""Commands find what runs in a data directory, as long as it runs."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from telemetry import lock
from telemetry.local.announcement import NAME, announced, environment

GIVEN = {
    "TELEMETRY_BROKER_URL": "redis+socket:///b",
    "TELEMETRY_DATABASE_URL_FILE": "/secret",
    "TELEMETRY_SOURCES": "a.csv",
    "PATH": "/bin",
}


def test_settings_are_found_while_the_system_runs(tmp_path: Path) -> None:
    shared = {name: value for name, value in GIVEN.items() if name.endswith(("BROKER_URL", "URL_FILE"))}
    assert environment(tmp_path, {}) == {}
    with lock.hold(tmp_path), announced(tmp_path, GIVEN, {"api": "http://x"}):
        assert environment(tmp_path, {}) == shared
        assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
        assert json.loads((tmp_path / NAME).read_text())["urls"] == {"api": "http://x"}
        # A secret and its file are one setting.
        assert environment(tmp_path, {"TELEMETRY_DATABASE_URL": "x", "TELEMETRY_BROKER_URL": "y"}) == {}
    assert not (tmp_path / NAME).exists()


def test_a_file_that_a_killed_one_left_says_nothing(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(json.dumps({"environment": GIVEN}))
    assert environment(tmp_path, {}) == {}
    with lock.hold(tmp_path):
        (tmp_path / NAME).write_text("torn")
        assert environment(tmp_path, {}) == {}
