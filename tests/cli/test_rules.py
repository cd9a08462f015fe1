"""`telemetry db rules`, and collectors that are set to other labels than the database has."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from telemetry.local.preparation import UnreachableError, prepare
from telemetry.settings import Settings
from tests.fixtures.processes import Start
from tests.fixtures.services import Query

Run = Callable[..., subprocess.CompletedProcess[str]]
OTHER = {"TELEMETRY_VOLATILE_LABELS": "release"}
WORKER = ("celery", "-A", "telemetry", "worker", "--concurrency", "1", "-l", "warning")


def test_a_collector_with_other_labels_refuses_to_start_until_the_rules_are_changed(
    telemetry: Run, start: Start, settings: Settings, tmp_path: Path, query: Query, start_collector: Callable[..., object]
) -> None:
    assert telemetry("db", "rules", "show").stdout == "no rule yet\n"
    prepare(settings)
    refused = start(*WORKER, TELEMETRY_ROLE="central", **OTHER)
    assert refused.wait(60) == 1
    (line,) = [line for log in tmp_path.glob("*.log") for line in log.read_text().splitlines() if line.startswith("telemetry:")]
    assert line.startswith("telemetry: TELEMETRY_VOLATILE_LABELS names release, the database does not and lacks DCGM_FI_")
    assert "set it back, or run telemetry db rules change" in line
    changed = telemetry("db", "rules", "change", "--volatile", "release", "--json")
    assert changed.returncode == 0, changed.stderr
    assert json.loads(changed.stdout)["volatile"] == ["release"]
    with pytest.raises(UnreachableError, match="lacks release, which the database has"):
        prepare(settings)
    first, second = json.loads(telemetry("db", "rules", "show", "--json").stdout)
    assert (first["since"], first["volatile"]) == (None, sorted(settings.volatile_labels))
    assert second["since"]
    assert second["owner"] == first["owner"] == sorted(settings.owner_labels)
    assert query("SELECT action FROM audit_log") == [("rules.change",)]
    again = telemetry("db", "rules", "change", "--volatile", "release")
    assert (again.returncode, again.stdout) == (0, "these are the rules already\n")
    start_collector(**OTHER)
