"""`telemetry health` and `telemetry events` on what a collector has stored."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.health import Read
from tests.fixtures.processes import Start
from tests.waiting import eventually

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def ill(read: Read) -> None:
    """a:0 is well, a:1 has an XID while a pod has it."""
    read(("GPU_TEMP", "a", 0, 60, 50), ("XID_ERRORS", "a", 1, 60, 79), namespace="research", pod="p")


def test_what_is_ill_is_shown_with_what_to_do(telemetry: Run) -> None:
    shown = telemetry("health").stdout
    assert "a:1 GPU-a1: faulty since" in shown
    assert "  XID 79: GPU has fallen off the bus, since" in shown
    assert "-> Drain the node and restart the machine" in shown
    assert "a:0" not in shown
    assert shown.splitlines()[-1] == "2 GPUs: 1 faulty, 1 well"
    assert [row["state"] for row in json.loads(telemetry("health", "--json").stdout)] == ["faulty", "well"]
    assert telemetry("health", "--hosts").stdout.startswith("a: faulty since")
    groups = json.loads(telemetry("health", "--prometheus").stdout)["groups"]
    assert "GpuXidError" in [rule["alert"] for rule in groups[0]["rules"]]


def test_events_are_shown_and_followed(telemetry: Run, start: Start, read: Read, tmp_path: Path) -> None:
    shown = telemetry("events", "--kind", "xid").stdout
    assert "a:1 xid: XID 79: GPU has fallen off the bus begins [namespace=research, pod=p]" in shown
    rows = [json.loads(line) for line in telemetry("events", "--json", "--gpu", "a:1").stdout.splitlines()]
    assert {row["kind"] for row in rows} == {"xid", "health", "allocation"}
    assert telemetry("events", "--gpu", "GPU-a0", "--kind", "xid").stdout == ""
    unknown = telemetry("events", "--gpu", "z:9")
    assert (unknown.returncode, "no GPU has the UUID or host:index z:9" in unknown.stderr) == (1, True)
    for since in ("yesterday", "-999999w"):
        refused = telemetry("events", "--since", since)
        assert (refused.returncode, "Traceback" in refused.stderr) == (2, False)
    start("telemetry", "events", "--follow", "--kind", "xid")
    log = next(iter(tmp_path.glob("*.log")))
    eventually(lambda: "begins" in log.read_text(), 30)
    read(("XID_ERRORS", "a", 1, 10, 0))
    eventually(lambda: "ends" in log.read_text(), 30)
    assert log.read_text().count("begins") == 1
