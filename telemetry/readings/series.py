"""What a series is called: one metric of one GPU under one set of labels, and its text on the wire.

The edge sends everything it read; which labels are volatile is the centre's to decide when it derives the identity. Two labels
have names that all formats use, because the database keeps them in columns: DRIVER_VERSION and MIG_INSTANCE.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

# As dcgm-exporter calls them: the driver's version, and the GPU instance (MIG) that a reading is of.
DRIVER_VERSION = "DCGM_FI_DRIVER_VERSION"
MIG_INSTANCE = "GPU_I_ID"


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """A series as an edge read it. Either `uuid`, or `host` and `index`, name the GPU."""

    metric: str
    uuid: str
    host: str
    index: int | None
    device: str
    model: str
    labels: dict[str, str]

    @property
    def gpu(self) -> str:
        """The GPU's identity: its UUID, or host:index where the file has none."""
        return self.uuid or f"{self.host}:{self.index}"

    def text(self) -> str:
        """The canonical text: equal keys have equal texts."""
        parts = [self.metric, self.uuid, self.host, self.index, self.device, self.model, self.labels]
        return _canonical(parts)

    @classmethod
    def from_text(cls, text: str) -> SeriesKey:
        """The key that a text stands for. Raises ValueError for any other text."""
        match json.loads(text):
            case [
                str(metric),
                str(uuid),
                str(host),
                (int() | None) as index,
                str(device),
                str(model),
                dict(labels),
            ] if metric and (uuid or (host and index is not None)) and _all_text(labels):
                return cls(metric, uuid, host, index, device, model, labels)
        raise ValueError(f"this is not the text of a series: {text[:200]}")

    def lasting(self, volatile: Collection[str]) -> dict[str, str]:
        """The labels that make the series what it is."""
        return {name: value for name, value in self.labels.items() if name not in volatile}


def labels_digest(labels: dict[str, str]) -> bytes:
    """16 bytes that stand for a set of lasting labels."""
    return blake2b(_canonical(labels).encode(), digest_size=16).digest()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _all_text(labels: dict[Any, Any]) -> bool:
    return set(map(type, labels.values())) <= {str}
