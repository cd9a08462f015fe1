"""How readings are aggregated: the names of the aggregates, and what they are grouped by. Store, API and client share them."""

from __future__ import annotations

from typing import Literal

Aggregate = Literal["avg", "min", "max", "sum", "last", "count", "p50", "p95", "p99"]
Group = Literal["host", "gpu", "model", "namespace", "pod", "container", "job", "user", "account"]
