"""Stores readings that come back from an archive: samples, their classes, and who had the GPUs, but no batches.

What is in no file of an edge has no entry in the ledger: readings that come back twice are duplicates, and a day that was
dropped once more can come back once more. Usage is summed up anew only of hours that the database has no sums of, and only when
a day is back as a whole: sums outlive the samples that they were made of, and must not be made of a part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import psycopg
from sqlalchemy import Engine, event, text

from telemetry.settings import Settings
from telemetry.store.engine import driver
from telemetry.store.floor import BelowFloorError, Floor
from telemetry.store.partitions import Partitions
from telemetry.store.rules import Rule
from telemetry.store.write import allocations, ledger, samples
from telemetry.store.write.allocations import Allocations, Held
from telemetry.store.write.conflicts import Origin
from telemetry.store.write.ledger import Entry
from telemetry.store.write.series_ids import SeriesIds
from telemetry.store.write.stretches import Content

# All of one run: a day that began with some ids ends with them.
SERIES = 10**8
KNOWN_GPUS = text("SELECT identity FROM gpus WHERE identity = ANY(:identities)")
SUMMED = text("""
    SELECT DISTINCT gpu_id, (extract(epoch FROM hour) / 3600)::integer FROM usage_hours
    WHERE gpu_id = ANY(:gpu_ids) AND hour >= to_timestamp(:first * 3600.0) AND hour <= to_timestamp(:last * 3600.0)
""")


class Classes(NamedTuple):
    """Readings by what became of them."""

    stored: int = 0
    duplicate: int = 0
    conflict: int = 0
    expired: int = 0

    def plus(self, other: Classes) -> Classes:
        """Both together."""
        return Classes(*(one + more for one, more in zip(self, other, strict=True)))


class Returner:
    """Stores readings of an archive with one engine."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._engine = engine
        self._series_ids = SeriesIds(engine, Rule.of(settings), SERIES)
        self._allocations = Allocations()
        self._partitions = Partitions(engine)
        self._floor = Floor(engine)
        self._connections = 0
        self._held: list[Held] = []
        event.listen(engine, "connect", self._forget)

    def known_gpus(self, identities: Sequence[str]) -> set[str]:
        """Those of some GPUs, by their identities, that the database knows."""
        with self._engine.connect() as connection:
            return set(connection.scalars(KNOWN_GPUS, {"identities": list(identities)}))

    def floor_us(self) -> int:
        """Since when readings are stored, in microseconds from 1970."""
        self._floor.forget()
        return self._floor.us()

    def store(self, contents: Sequence[Content], origin: Origin) -> Classes:
        """Store readings in one transaction. Who had the GPUs is kept until `finish`."""
        while (classes := self._store(contents, origin)) is None:
            self._forget_places()
        return classes

    def finish(self) -> None:
        """Store who had the GPUs, as all that was stored since the last time shows it."""
        held, self._held = self._held, []
        for each in held:
            with self._engine.begin() as connection:
                marks = each.marks
                if marks:
                    hours = [hour for _, hour in marks]
                    asked = {"gpu_ids": sorted({gpu for gpu, _ in marks}), "first": min(hours), "last": max(hours)}
                    summed = {(gpu, hour) for gpu, hour in connection.execute(SUMMED, asked)}
                    marks = [mark for mark in marks if mark not in summed]
                allocations.write(connection, Held(each.codes, each.spans, each.uses, marks))

    def _store(self, contents: Sequence[Content], origin: Origin) -> Classes | None:
        """The same, None if what this process knew of the database does not hold any more."""
        resolved_at = self._connections
        try:
            resolved, floor_us = self._series_ids.resolve(contents), self._floor.us()
            parts = [(ids, of.readings.ts_us, of.readings.values) for ids, of in zip(resolved.ids, contents, strict=True)]
            arranged = samples.arrange(parts, floor_us)
            held = self._allocations.of([content.readings for content in contents], resolved, floor_us)
            tables = self._partitions.ensure(arranged.days())
            with self._engine.connect() as connection, connection.begin() as transaction:
                entry = ledger.enter(connection, [], [], arranged, tables.values(), resolved.rule, floor_us)
                if resolved_at != self._connections or entry is Entry.OUTDATED:
                    transaction.rollback()
                    return None
                counts = samples.write(driver(connection), arranged, tables, [origin] * len(contents))
        except (psycopg.errors.UndefinedTable, BelowFloorError):
            return None
        self._allocations.committed(held)
        self._keep(held)
        return Classes(*(int(np.sum(column)) for column in (*_columns(counts), arranged.expired)))

    def _keep(self, held: Held) -> None:
        if self._held and self._held[-1].uses is held.uses:
            last = self._held.pop()
            codes, marks = sorted({*last.codes, *held.codes}), sorted({*last.marks, *held.marks})
            held = Held(codes, [*last.spans, *held.spans], held.uses, marks)
        self._held.append(held)

    def _forget_places(self) -> None:
        self._series_ids.forget()
        self._partitions.forget()
        self._floor.forget()

    def _forget(self, *_: Any) -> None:
        self._connections += 1
        self._forget_places()


def _columns(counts: samples.Counts) -> tuple[Any, ...]:
    return counts.stored, counts.duplicate, counts.conflict
