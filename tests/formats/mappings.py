"""Sources with a mapping, as tests of wide files need them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from telemetry.readings.mapping import ColumnMapping, Measured
from telemetry.readings.source_settings import SourceSettings

START_US = 1_793_872_800_000_000  # 2026-11-05T10:00:00Z
UTIL, POWER, USED = "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_FB_USED"


def mapped(*metrics: Measured, time: str = "t", form: str = "epoch_s", **said: Any) -> SourceSettings:
    """The settings of a source of one GPU with a mapping."""
    mapping = ColumnMapping((time,), form, tuple(sorted(metrics)), **said)
    return SourceSettings("UTC" if mapping.needs_zone else "", "node", 0, mapping=mapping)


def written(folder: Path, text: str) -> Path:
    """A file of this text."""
    path = folder / "a.csv"
    path.write_text(text)
    return path
