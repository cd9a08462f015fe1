"""Tables of the readings of many GPUs: how they are asked for, and their shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from telemetry.client import frames
from telemetry.client.queries import Names
from telemetry.client.resources import telemetry_of

OWNERS = ("namespace", "pod")


@dataclass(frozen=True, slots=True)
class Fleet:
    """A question about many GPUs: metrics, span and step in the client's words, and filters of GPUs.

    `table` asks for a list as a table, `gpus` for the ids of the GPUs that filters leave.
    """

    table: Callable[..., pa.Table]
    gpus: Callable[..., Iterable[str]]
    metrics: Sequence[str]
    question: Mapping[str, Any]
    filters: Mapping[str, Any]

    def in_steps(self) -> Iterator[pa.Table]:
        """A table for each metric, of all GPUs that the filters leave."""
        for metric in self.metrics:
            table = self.table("query", metric=metric, by="gpu", **self.question, **self.filters)
            yield frames.expanded(frames.named(table, metric))

    def of_gpus(self, gpus: Names | None) -> Iterator[pa.Table]:
        """A table for each of some GPUs, or of those that the filters leave; only readings of the owner that is asked for."""
        names = gpus.split(",") if isinstance(gpus, str) else gpus
        if names is None:
            names = list(self.gpus(**self.filters))
        for name in names:
            table = frames.expanded(self.table(telemetry_of(name), metrics=self.metrics, **self.question))
            for owner in OWNERS:
                if (value := self.filters.get(owner)) is not None:
                    table = frames.where(table, owner, value)
            yield table


def shaped(tables: Iterator[pa.Table], metrics: Sequence[str], *, is_wide: bool) -> pa.Table:
    """The tables as one, long or wide. Raises ValueError if they cannot be wide."""
    table = frames.joined(tables)
    return frames.wide(table, ["gpu"] if len(metrics) == 1 else ["metric", "gpu"]) if is_wide else table
