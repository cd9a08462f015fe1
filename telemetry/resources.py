"""Finds the files that a running system reads.

Some lie beside the package: at a checkout's root, or under share/ of an installation. Others lie in it.
"""

from __future__ import annotations

import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
INSTALLED = Path(sys.prefix) / "share" / "telemetry-pipeline"
# Prometheus' alerts, which need nothing of this package; docs/RUNBOOKS.md has a runbook for each.
ALERTS = Path(__file__).parent / "monitoring" / "rules" / "telemetry.yml"


def path(name: str) -> Path:
    """Where `Procfile` or `migrations` lies. Raises FileNotFoundError if the installation is incomplete."""
    for root in (CHECKOUT, INSTALLED):
        if (root / name).exists():
            return root / name
    raise FileNotFoundError(f"{name} is neither in {CHECKOUT} nor in {INSTALLED}; install telemetry-pipeline again")
