"""Stores batches in one transaction: ledger, samples, conflicts, quarantine, allocations, marks, or nothing.

The SQL is `telemetry.store.write`'s. What becomes of a batch that cannot be stored is decided by `persist`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum, auto
from functools import partial
from time import monotonic, time
from typing import Any, NamedTuple, TypeVar

import numpy as np
import psycopg
import sqlalchemy.exc
from sqlalchemy import Connection, Engine, event

from telemetry.collector.outcome import Outcome
from telemetry.monitoring import traces
from telemetry.monitoring.counters import stations
from telemetry.progress.acks import Held
from telemetry.readings import wire
from telemetry.readings.arrays import Float64s, Int64s
from telemetry.settings import Settings
from telemetry.store import generations
from telemetry.store.engine import driver
from telemetry.store.floor import BelowFloorError, Floor
from telemetry.store.generations import History
from telemetry.store.partitions import PartitionError, Partitions
from telemetry.store.read import held as held_sources
from telemetry.store.rules import Rule
from telemetry.store.write import allocations, contents, ledger, release, samples, unjudged
from telemetry.store.write.allocations import Allocations
from telemetry.store.write.conflicts import Origin
from telemetry.store.write.ledger import Entry
from telemetry.store.write.release import Released
from telemetry.store.write.series_ids import Resolved, SeriesIds
from telemetry.store.write.source_ids import SourceIds
from telemetry.store.write.stretches import Content

# A transaction locks the partition of each day and its index, where days have their own. By default Postgres has room for some
# 7,000 locks (its manual, max_locks_per_transaction: 64 for each of 100 connections, and for its own processes).
MAX_DAYS = 3000
# Clocks of edges and of the centre may differ by as much; a batch of later readings is dead.
GRACE_DAYS = 2

T = TypeVar("T")


class RolledBack(Enum):
    """Why nothing was stored although nothing failed."""

    IN_LEDGER = auto()  # One of the batches is in the ledger already.
    OUTDATED = auto()  # What this process knew of the database does not hold: it must be asked again.


class Releasable(NamedTuple):
    """A quarantined row that is readings by now: its id, where it comes from, its byte offset, and what it says."""

    id: int
    origin: Origin
    offset: int
    content: Content


class BatchWriter:
    """Stores batches with one engine."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._engine = engine
        self.source_ids = SourceIds(engine, settings.series_cache_size)
        self._series_ids = SeriesIds(engine, Rule.of(settings), settings.series_cache_size)
        self._allocations = Allocations()
        self._partitions = Partitions(engine)
        self._floor = Floor(engine)
        self._history = History()
        self._future_limit_s = settings.future_limit_s
        self._connections = 0
        event.listen(engine, "connect", self._forget)

    def write(self, batches: Sequence[wire.Batch]) -> list[Outcome]:
        """Store batches in one transaction; those in the ledger already are left out. Returns the outcome of each, in order.

        Raises WireError and database errors; then none of them is stored.
        """
        new: dict[ledger.Key, wire.Batch] = {}
        for batch in batches:
            first = new.setdefault((batch.edge, batch.batch_id), batch)
            if first is not batch:
                self._compare(batch, self._digest(first))
        outcomes: dict[ledger.Key, Outcome] = {}
        while new:
            # Nearly always none of them is in the ledger, so that asking it first would be a round trip for nothing.
            match self._unless_outdated(partial(self._write_new, list(new.values()))):
                case RolledBack.OUTDATED:
                    continue
                case RolledBack.IN_LEDGER:
                    outcomes |= self._in_ledger(new)
                    new = {key: batch for key, batch in new.items() if key not in outcomes}
                case written:
                    outcomes |= dict(zip(new, written, strict=True))
                    break
        # The first copy of a batch in the group has stored it, the others find it stored.
        firsts: dict[ledger.Key, Outcome | None] = {**outcomes}
        keys = [(batch.edge, batch.batch_id) for batch in batches]
        return [firsts.pop(key, None) or outcomes[key].of_copy() for key in keys]

    def held(self, question: wire.Batch) -> Outcome:
        """What the ledger holds of the source of a question, behind the place that it names."""
        known_at_s = monotonic()
        with self._history.connected(self._engine) as connection:
            place = (question.start, question.first_line)
            fields = held_sources.held(connection, question.edge, question.source, *place)
            return Outcome("held", known_at_s, generation=generations.of(connection), held=Held(*fields))

    def _in_ledger(self, batches: Mapping[ledger.Key, wire.Batch]) -> dict[ledger.Key, Outcome]:
        """The outcomes of the batches that the ledger has."""
        known_at_s = monotonic()
        with self._history.connected(self._engine) as connection:
            known = ledger.known(connection, list(batches))
            generation = generations.of(connection)
        for key, entry in known.items():
            if entry.digest is not None:
                self._compare(batches[key], entry.digest)
        return {
            key: Outcome("known dead" if entry.status == "dead" else "known", known_at_s, generation=generation)
            for key, entry in known.items()
        }

    def _compare(self, batch: wire.Batch, known: int) -> None:
        """Tell if a batch has other readings than those that are known under its id. They are not stored, as always."""
        if self._digest(batch) != known:
            stations.refused(batch.edge, batch.batch_id)

    def _digest(self, batch: wire.Batch) -> int:
        content = [Content.of(batch)]
        return contents.digest(*_parts(content, self._series_ids.resolve(content))[0])

    def _write_new(self, batches: Sequence[wire.Batch]) -> list[Outcome] | RolledBack:
        resolved_at = self._connections
        source_ids = self.source_ids.resolve([(batch.edge, batch.source) for batch in batches])
        content = [Content.of(batch) for batch in batches]
        resolved, floor_us = self._series_ids.resolve(content), self._floor.us()
        arranged = samples.arrange(_parts(content, resolved), floor_us)
        held = self._allocations.of([batch.readings for batch in batches], resolved, floor_us)
        tables = self._prepare(_days(arranged, self._future_limit_s))
        began_s = monotonic()
        with (
            traces.span("transaction", batches=len(batches)),
            self._history.connected(self._engine) as connection,
            connection.begin() as transaction,
        ):
            # A connection newer than the ids may lead to a restored database, where they mean other series or none.
            if resolved_at != self._connections:
                transaction.rollback()
                return RolledBack.OUTDATED
            match ledger.enter(connection, batches, source_ids, arranged, tables.values(), resolved.rule, floor_us):
                case Entry.KNOWN:
                    transaction.rollback()
                    return RolledBack.IN_LEDGER
                case Entry.OUTDATED:
                    transaction.rollback()
                    self._forget_places()
                    return RolledBack.OUTDATED
            origins = [Origin(source, batch.batch_id) for source, batch in zip(source_ids, batches, strict=True)]
            counts = samples.write(driver(connection), arranged, tables, origins)
            wrong = np.flatnonzero(~counts.same_as(arranged.expected)).tolist()
            if wrong:
                ledger.correct(connection, batches, counts, wrong)
            ledger.quarantine(connection, batches, source_ids)
            unjudged.mark(connection, resolved, arranged.ts_us, int(time() * 1e6))
            allocations.write(connection, held)
            # Before the COMMIT, so that all the time after it counts.
            known_at_s, generation = monotonic(), generations.of(connection)
        self._allocations.committed(held)
        stations.stored(len(batches), monotonic() - began_s)
        self._history.committed(batches[0].edge, batches[0].batch_id)
        return _outcomes(batches, counts, arranged, known_at_s, generation)

    def release(
        self, rows: Sequence[Releasable], note: Callable[[Connection, Sequence[Released]], None]
    ) -> list[Released] | None:
        """Store the readings of rows that leave quarantine, in one transaction, which `note` adds to. Returns what they became.

        None if one of them is not in quarantine any more; then nothing is stored. Raises what `write` raises.
        """
        while (released := self._unless_outdated(partial(self._release, rows, note))) is RolledBack.OUTDATED:
            continue
        return None if isinstance(released, RolledBack) else released

    def _release(
        self, rows: Sequence[Releasable], note: Callable[[Connection, Sequence[Released]], None]
    ) -> list[Released] | RolledBack:
        resolved_at, content = self._connections, [row.content for row in rows]
        resolved, floor_us = self._series_ids.resolve(content), self._floor.us()
        arranged = samples.arrange(_parts(content, resolved), floor_us)
        held = self._allocations.of([row.content.readings for row in rows], resolved, floor_us)
        tables = self._prepare(_days(arranged, self._future_limit_s))
        with self._engine.connect() as connection, connection.begin() as transaction:
            # The tallies are entered, and no batch.
            entry = ledger.enter(connection, [], [], arranged, tables.values(), resolved.rule, floor_us)
            if resolved_at != self._connections or entry is Entry.OUTDATED:
                transaction.rollback()
                self._forget_places()
                return RolledBack.OUTDATED
            if not release.leave(connection, [row.id for row in rows]):
                transaction.rollback()
                return RolledBack.IN_LEDGER
            counts = samples.write(driver(connection), arranged, tables, [row.origin for row in rows])
            released = [
                Released(row.origin.source_id, row.offset, **classes, blank=row.content.readings.blank)
                for row, classes in zip(rows, _by_class(counts, arranged), strict=True)
            ]
            release.recount(connection, released)
            note(connection, released)
            unjudged.mark(connection, resolved, arranged.ts_us, int(time() * 1e6))
            allocations.write(connection, held)
        self._allocations.committed(held)
        return released

    def _unless_outdated(self, work: Callable[[], T]) -> T | RolledBack:
        """What a transaction gives. A day may be frozen or dropped meanwhile: then it has no partition of the name it knew."""
        try:
            return work()
        except (psycopg.errors.UndefinedTable, BelowFloorError):
            self._partitions.forget()
            self._floor.forget()
            return RolledBack.OUTDATED

    def _prepare(self, days: Iterable[int]) -> dict[int, str]:
        """The partitions of some days, made where there are none. A refusal is counted.

        A database that cannot be reached has refused nothing.
        """
        try:
            return self._partitions.ensure(days)
        except PartitionError:
            stations.partition_refused()
            raise
        except sqlalchemy.exc.DBAPIError as error:
            if getattr(error.orig, "sqlstate", None):
                stations.partition_refused()
            raise

    def _forget_places(self) -> None:
        """Ask again where readings belong, and which are kept."""
        self._series_ids.forget()
        self._partitions.forget()
        self._floor.forget()

    def _forget(self, *_: Any) -> None:
        self._connections += 1
        self.source_ids.forget()
        self._forget_places()


def _parts(content: Sequence[Content], resolved: Resolved) -> list[tuple[Int64s, Int64s, Float64s]]:
    """The readings of each content, under the ids of their series."""
    return [(ids, each.readings.ts_us, each.readings.values) for ids, each in zip(resolved.ids, content, strict=True)]


def _days(arranged: samples.Samples, future_limit_s: int) -> list[int]:
    """The days that samples fall on. Raises WireError if they are too many, or of a time that is far from coming."""
    days = arranged.days()
    # An edge puts such readings into quarantine; here it is about one that does not, as each day to come is a partition.
    last = int((time() + future_limit_s) // 86_400) + GRACE_DAYS
    if days and max(days) > last:
        beyond = max(days) - last
        raise wire.WireError(f"it has readings of {beyond} days after the last that is taken (TELEMETRY_FUTURE_LIMIT_S)")
    if len(days) > MAX_DAYS:
        raise wire.WireError(
            f"it has readings of {len(days)} days, the limit is {MAX_DAYS}: ingest the file with a smaller --batch-size"
        )
    return days


def _outcomes(
    batches: Sequence[wire.Batch], counts: samples.Counts, arranged: samples.Samples, known_at_s: float, generation: str
) -> list[Outcome]:
    return [
        Outcome(
            "stored",
            known_at_s,
            {**classes, "blank": batch.readings.blank, "quarantined": len(batch.readings.quarantined)},
            generation=generation,
        )
        for batch, classes in zip(batches, _by_class(counts, arranged), strict=True)
    ]


def _by_class(counts: samples.Counts, arranged: samples.Samples) -> Iterator[dict[str, int]]:
    """The readings with a value of each batch, by class."""
    columns = zip(
        *(column.tolist() for column in (counts.stored, counts.duplicate, counts.conflict, arranged.expired)), strict=True
    )
    return (dict(zip(("stored", "duplicate", "conflict", "expired"), numbers, strict=True)) for numbers in columns)
