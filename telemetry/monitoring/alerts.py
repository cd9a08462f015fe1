"""The alerts are a file of Prometheus' rules, which needs nothing of this package; here is where it lies.

Each has a summary, a description and the runbook that docs/RUNBOOKS.md holds.
"""

from __future__ import annotations

from pathlib import Path

FILE = Path(__file__).parent / "rules" / "telemetry.yml"
