"""Writes allocations: when which owner had which GPU, as the readings of some batches show it.

A reading shows that its owner had the GPU in the minute that the reading lies in, and one of a scheduler that it had it for a
span of time before (`spans`). So what is stored is the set of all such
minutes, and neither the order of batches, nor their cuts, nor repetition can change it. Minutes beside each other are one
range; gaps are stored as gaps, and bridged when somebody asks. A GPU that nobody uses is held by the owner without labels, so
that the ranges of all owners together are the time in which a GPU was read.

One statement a transaction, only for minutes that this process has not committed already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, text

from telemetry.readings.arrays import Int64s
from telemetry.readings.rows import Readings
from telemetry.store.floor import NO_FLOOR_US
from telemetry.store.write import usage_marks
from telemetry.store.write.series_ids import Resolved
from telemetry.store.write.spans import MINUTE_US, Span, Spans, spans_of
from telemetry.store.write.usage_marks import Mark, UsageMarks
from telemetry.store.write.use_ids import Use

DAY_MINUTES = 1440
# Minutes from 1970 that fit beside the number of a use.
MINUTE_BITS = 32
# Pairs of use and minute that a process remembers as committed.
REMEMBERED = 200_000

# In order, so that two transactions that hold the same GPUs cannot wait for each other.
UNITE = text("""
    INSERT INTO allocations AS a (gpu_id, day, instance, owner_id, held)
    SELECT gpu_id, date '1970-01-01' + day, instance, owner_id,
           range_agg(tstzrange(to_timestamp(first_minute * 60), to_timestamp(end_minute * 60)))
    FROM unnest(CAST(:gpu_id AS bigint[]), CAST(:day AS integer[]), CAST(:instance AS text[]), CAST(:owner_id AS bigint[]),
                CAST(:first_minute AS bigint[]), CAST(:end_minute AS bigint[]))
         AS k (gpu_id, day, instance, owner_id, first_minute, end_minute)
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (gpu_id, day, instance, owner_id) DO UPDATE SET held = a.held + EXCLUDED.held
    WHERE NOT a.held @> EXCLUDED.held
""")


@dataclass(frozen=True, slots=True)
class Held:
    """What is new to this process: minutes, each with its use in one number, and spans; the uses; the hours to sum up anew."""

    codes: list[int]
    spans: list[Span]
    uses: Sequence[Use]
    marks: list[Mark]


class Allocations:
    """The allocations that one process has written."""

    def __init__(self) -> None:
        self._uses: Sequence[Use] = ()
        self._committed: set[int] = set()
        self._spans = Spans()
        self._marks = UsageMarks()

    def of(self, batches: Sequence[Readings], resolved: Resolved, floor_us: int = NO_FLOOR_US) -> Held:
        """What the readings of some batches since the floor show that is not known to be stored."""
        if resolved.uses is not self._uses:
            # Other numbers, and after a renewed connection perhaps another database.
            self._uses, self._committed, self._marks = resolved.uses, set(), UsageMarks()
            self._spans = Spans()
        of, ts_us = np.concatenate(resolved.of), np.concatenate([readings.ts_us for readings in batches])
        kept = ts_us >= floor_us
        spans: list[Span] = []
        if resolved.of_spans:
            tells = np.isin(np.concatenate(resolved.ids), list(resolved.of_spans))
            rows, held_s = kept & tells, np.concatenate([readings.values for readings in batches])
            spans = self._spans.new(spans_of(of[rows], ts_us[rows], held_s[rows], max(floor_us, 0) // MINUTE_US))
            kept &= ~tells
        if not kept.all():
            of, ts_us = of[kept], ts_us[kept]
        codes = _distinct(of, ts_us // MINUTE_US)
        marks = self._marks.of([*codes, *_in_each_hour(spans)], resolved.uses, MINUTE_BITS)
        return Held([code for code in codes if code not in self._committed], spans, resolved.uses, marks)

    def committed(self, held: Held) -> None:
        """Remember what a transaction has stored."""
        if held.uses is self._uses:
            if len(self._committed) > REMEMBERED:
                self._committed = set()
            self._committed.update(held.codes)
            self._spans.committed(held.spans)
            self._marks.committed(held.marks)


def write(connection: Connection, held: Held) -> None:
    """Add minutes to the allocations, inside the caller's transaction. Last in it: others may wait for its rows."""
    usage_marks.write(connection, held.marks)
    runs = [*(_runs(np.array(held.codes, np.int64)) if held.codes else []), *_days(held.spans)]
    if not runs:
        return
    of = [held.uses[use] for use, _, _ in runs]
    connection.execute(
        UNITE,
        {
            "gpu_id": [use.gpu_id for use in of],
            "instance": [use.instance for use in of],
            "owner_id": [use.owner_id for use in of],
            "day": [first // DAY_MINUTES for _, first, _ in runs],
            "first_minute": [first for _, first, _ in runs],
            "end_minute": [end for _, _, end in runs],
        },
    )


def _distinct(uses: Int64s, minutes: Int64s) -> list[int]:
    """The distinct pairs of use and minute, each as one number, in order."""
    if not len(uses):
        return []
    low = int(minutes.min())
    wide = int(minutes.max()) - low + 1
    cells = (int(uses.max()) + 1) * wide
    if cells > 8 * len(uses) + (1 << 16):
        distinct: list[int] = np.unique((uses << MINUTE_BITS) + minutes).tolist()
        return distinct
    # Nearly always: a table of flags, which needs no sorting.
    there = np.zeros(cells, np.bool_)
    there[uses * wide + (minutes - low)] = True
    of, minute = np.divmod(np.flatnonzero(there), wide)
    pairs: list[int] = ((of << MINUTE_BITS) + minute + low).tolist()
    return pairs


def _days(spans: Sequence[Span]) -> list[tuple[int, int, int]]:
    """Spans as runs of minutes within a day: use, first minute, end."""
    return [
        (use, max(first, day * DAY_MINUTES), min(end, (day + 1) * DAY_MINUTES))
        for use, first, end in spans
        for day in range(first // DAY_MINUTES, (end - 1) // DAY_MINUTES + 1)
    ]


def _in_each_hour(spans: Sequence[Span]) -> list[int]:
    """A minute in each hour of some spans, each with its use in one number."""
    return [(use << MINUTE_BITS) + minute for use, first, end in spans for minute in (*range(first, end, 60), end - 1)]


def _runs(codes: Int64s) -> list[tuple[int, int, int]]:
    """Numbers of `_distinct` in order, as runs of minutes beside each other within a day: use, first minute, end."""
    days = (codes & ((1 << MINUTE_BITS) - 1)) // DAY_MINUTES
    begins = np.flatnonzero(np.concatenate(([True], (np.diff(codes) != 1) | (np.diff(days) != 0))))
    lengths = np.diff(np.append(begins, len(codes)))
    uses, firsts = codes[begins] >> MINUTE_BITS, codes[begins] & ((1 << MINUTE_BITS) - 1)
    return list(zip(uses.tolist(), firsts.tolist(), (firsts + lengths).tolist(), strict=True))
