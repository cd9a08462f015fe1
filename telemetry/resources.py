"""Finds the files that lie beside the package: in a checkout at its root, in an installation under share/."""

from __future__ import annotations

import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
INSTALLED = Path(sys.prefix) / "share" / "telemetry-pipeline"


def path(name: str) -> Path:
    """Where `Procfile` or `migrations` lies. Raises FileNotFoundError if the installation is not whole."""
    for root in (CHECKOUT, INSTALLED):
        if (root / name).exists():
            return root / name
    raise FileNotFoundError(f"{name} is neither in {CHECKOUT} nor in {INSTALLED}; install telemetry-pipeline again")
