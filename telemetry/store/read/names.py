"""Which names of metrics, hosts and GPUs there are, and which of them a text that names none may have meant."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from sqlalchemy import Select, Text, cast, desc, func, select

from telemetry.store.models import Gpu, Metric

Kind = Literal["metric", "host", "gpu"]
COLUMNS: dict[Kind, Any] = {"metric": Metric.name, "host": Gpu.host, "gpu": Gpu.identity}
# Names that are compared with a text at most.
CANDIDATES = 1000


def existing(kind: Kind, names: Collection[str]) -> Select[Any]:
    """Those of some names that there are."""
    return select(COLUMNS[kind]).where(COLUMNS[kind].in_(names)).distinct()


def candidates(kind: Kind, text: str) -> Select[Any]:
    """Names of a kind: first those that contain a text, then those that begin like it. A GPU is `host:index` if the text is."""
    column = COLUMNS[kind]
    if kind == "gpu" and ":" in text:
        column = Gpu.host + ":" + cast(Gpu.index, Text)
    folded = func.lower(column)
    contains = func.strpos(folded, text.lower()) > 0
    alike = func.starts_with(folded, text.lower()[: len(text) // 2])
    return (
        select(column)
        .where(column.is_not(None))
        .group_by(column)
        .order_by(desc(contains), desc(alike), column)
        .limit(CANDIDATES)
    )
