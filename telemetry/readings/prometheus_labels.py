"""Names and labels of series as Prometheus has them from dcgm-exporter, so that boards and alerts made for that one work."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# What tells which GPU it is.
GPU = ("UUID", "gpu", "Hostname")
# All that a GPU says of itself. No label of a file has these names.
OF_GPU = frozenset({*GPU, "device", "modelName"})
# Names that Prometheus keeps for itself begin with two underscores.
LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")


def of_gpu(row: Any) -> dict[str, str]:
    """The labels of GPU, from a row with the columns of `gpus`."""
    index = "" if row.gpu_index is None else str(row.gpu_index)
    return dict(zip(GPU, (row.uuid or row.identity, index, row.host or ""), strict=True))


def labels(row: Any, said: Mapping[str, Any]) -> dict[str, str]:
    """All labels of a series: its GPU's, and those that its file has said. Names that Prometheus forbids are left out."""
    own = {**of_gpu(row), "device": row.device or "", "modelName": row.model or ""}
    named = ((re.sub(r"\W", "_", name, flags=re.ASCII), str(value)) for name, value in said.items())
    return {**{name: value for name, value in named if LABEL.fullmatch(name)}, **own}


def metric(name: str) -> str:
    """The name of a metric with what Prometheus forbids in it replaced: `temperature.gpu` is `temperature_gpu`."""
    legal = re.sub(r"[^a-zA-Z0-9_:]", "_", name)
    return f"_{legal}" if legal[:1].isdigit() else legal
