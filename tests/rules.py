"""Prometheus' rules for tests: read, and made quick."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from telemetry import resources

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def rules() -> list[dict[str, Any]]:
    """All alerts."""
    groups = yaml.safe_load(resources.ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def seconds(duration: str) -> float:
    """A duration of Prometheus with one unit."""
    found = re.fullmatch(r"(\d+)([smhd])", duration)
    assert found, duration
    return int(found[1]) * UNITS_S[found[2]]


def quickened(path: Path, factor: float) -> Path:
    """The same rules with shorter patience: each `for` divided by a factor."""
    groups = yaml.safe_load(resources.ALERTS.read_text(encoding="utf-8"))["groups"]
    for group in groups:
        for rule in group["rules"]:
            rule["for"] = f"{round(1000 * seconds(rule['for']) / factor)}ms"
    path.write_text(json.dumps({"groups": groups}), encoding="utf-8")
    return path
