"""Marks the hours of GPUs that got readings, for upkeep to sum up.

Marks are only added. Of an hour that is not over yet, one mark of a process will do, as upkeep waits until it has settled. A
reading that comes later marks its hour each time. One near the end of an hour marks the next too: the first energy there is
counted from it, and so are gaps.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

import numpy as np
from sqlalchemy import Connection, text

from telemetry.store.usage_facts import BRIDGE_MINUTES
from telemetry.store.write.use_ids import Use

# From so long after its end on, each reading of an hour marks it. Upkeep waits for twice as long.
LATE_S = 600
# GPUs times hours that a process remembers as marked.
REMEMBERED = 100_000

ADD = text("""
    INSERT INTO usage_marks (gpu_id, hour)
    SELECT gpu_id, to_timestamp(hour * 3600.0)
    FROM unnest(CAST(:gpu_ids AS bigint[]), CAST(:hours AS integer[])) AS m (gpu_id, hour)
""")

# A GPU by its number, and an hour counted from 1970.
Mark = tuple[int, int]


class UsageMarks:
    """The marks that one process has committed, of hours that are not over yet."""

    def __init__(self) -> None:
        self._committed: set[Mark] = set()

    def of(self, codes: Sequence[int], uses: Sequence[Use], minute_bits: int) -> list[Mark]:
        """The marks for pairs of use and minute, each one number, that are not known to be stored."""
        if not codes:
            return []
        pairs = np.array(codes, np.int64)
        minutes = pairs & ((1 << minute_bits) - 1)
        near = [(pairs >> minute_bits << minute_bits) + (minutes + shift) // 60 for shift in (-BRIDGE_MINUTES, BRIDGE_MINUTES)]
        distinct = np.unique(np.concatenate(near))
        of, hours = (distinct >> minute_bits).tolist(), (distinct & ((1 << minute_bits) - 1)).tolist()
        marks = {(uses[use].gpu_id, hour) for use, hour in zip(of, hours, strict=True)}
        return sorted(mark for mark in marks if mark not in self._committed or not _settling(mark[1]))

    def committed(self, marks: Collection[Mark]) -> None:
        """Remember what a transaction has stored, for as long as it needs not be stored again."""
        if len(self._committed) > REMEMBERED:
            self._committed = {mark for mark in self._committed if _settling(mark[1])}
        self._committed.update(marks)


def write(connection: Connection, marks: Sequence[Mark]) -> None:
    """Add marks, inside the transaction that stores what they are about."""
    if marks:
        connection.execute(ADD, {"gpu_ids": [gpu_id for gpu_id, _ in marks], "hours": [hour for _, hour in marks]})


def _settling(hour: int) -> bool:
    """Whether an hour is not over for long."""
    return (hour + 1) * 3600 + LATE_S > time.time()
