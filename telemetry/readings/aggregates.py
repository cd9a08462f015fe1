"""How readings are aggregated: the names of the aggregates, and what they are grouped by. Store, API and client share them."""

from __future__ import annotations

from typing import Literal, get_args

Aggregate = Literal["avg", "min", "max", "sum", "last", "count", "p50", "p95", "p99"]
# Of what happened between a reading and the one before it in its series.
OverTime = Literal["increase", "rate", "integral", "hours", "changes"]
FleetAggregate = Literal[Aggregate, OverTime, "histogram"]
Group = Literal["cluster", "edge", "host", "gpu", "model", "namespace", "pod", "container", "job", "user", "account"]
OVER_TIME: frozenset[str] = frozenset(get_args(OverTime))
# A group by a label is this and the label's name.
LABEL = "label."
