"""The file of rates: TOML, by which usage is priced.

currency = "EUR"
kwh = 0.28          # for the energy, beside the hours; 0 unless given
gpu_hour = 1.20     # for models that have no rate of their own; those have none unless it is given

[model]
"NVIDIA H100 80GB HBM3" = 2.50
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from telemetry.readings.rates import Rates
from telemetry.settings import toml_file

KEYS = ("currency", "kwh", "gpu_hour", "model")


def parse(raw: str) -> Rates | None:
    """The rates in the file at a path, None for an empty text. Raises ValueError."""
    if not raw.strip():
        return None
    path, _, document = toml_file.read(raw)
    if unknown := [name for name in document if name not in KEYS]:
        raise ValueError(f"{path} has an unknown key {unknown[0]!r}; the keys are {', '.join(KEYS)}")
    currency, models = document.get("currency"), document.get("model", {})
    if not isinstance(currency, str) or not currency.strip():
        raise ValueError(f'{path} must say a currency, such as currency = "EUR"')
    if not isinstance(models, dict):
        raise ValueError(f"{path}: model must be a table [model] of models and their rates")  # noqa: TRY004 - it is the file's
    per_hour = tuple((model, _rate(path, model, rate)) for model, rate in models.items())
    others = _rate(path, "gpu_hour", document["gpu_hour"]) if "gpu_hour" in document else None
    return Rates(currency.strip(), per_hour, others, _rate(path, "kwh", document.get("kwh", 0)))


def _rate(path: Path, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{path}: {name!r} must be a number from 0 on, such as 2.5")
    return float(value)
