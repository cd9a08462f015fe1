"""How much each case measures, and the same at another scale."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

# Below these there is nothing to measure.
LEAST = {"rows": 2_000, "messages": 1_000, "requests": 10, "files": 1, "edges": 5, "thousands_s": 20, "_s": 2}


@dataclass(frozen=True, slots=True)
class Sizes:
    """Rows, messages, files, edges and seconds. The defaults are those of `make bench`."""

    # Seconds of flow, so that the index is as large as a day's soon is, and the beginning weighs little.
    rows: int = 3_000_000
    small_rows: int = 200_000
    orm_rows: int = 100_000
    messages: int = 10_000
    latency_s: int = 30
    history_rows: int = 250_000
    history_files: int = 5
    edge_s: int = 30
    outage_rows: int = 3_600_000
    # 2 GB.
    large_file_rows: int = 4_400_000
    api_requests: int = 100
    export_rows: int = 1_000_000
    memory_rows: int = 10_000_000
    fleet_edges: int = 999
    fleet_s: int = 60
    thousands_edges: int = 10_000
    # Each edge ticks every 10 s: a dozen times. The goals want ten minutes.
    thousands_s: int = 120

    def scaled(self, factor: float) -> Self:
        """The same times a factor."""
        return replace(self, **{each.name: _scaled(each.name, getattr(self, each.name), factor) for each in fields(self)})


def _scaled(name: str, value: int, factor: float) -> int:
    least = next(least for ending, least in LEAST.items() if name.endswith(ending))
    return max(min(least, value), round(value * factor))
