"""What GPUs cost: the rates that usage is multiplied by. Where they come from is a setting's, `TELEMETRY_RATES`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rates:
    """The price of an hour of a GPU by its model, of any other (None: it has none), and of a kilowatt-hour."""

    currency: str
    per_hour: tuple[tuple[str, float], ...] = ()
    per_hour_of_others: float | None = None
    per_kwh: float = 0.0
