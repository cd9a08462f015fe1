"""Counts the samples partition by partition, and finds the hours of which some are gone.

A piece is counted at a time. What a piece shows is confirmed in one statement before anything follows from it. Fewer than
were stored is a shortfall. More than were stored (a collector of before brought them, or somebody by hand) is said, and taken
for the new figure.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic

from sqlalchemy import Connection, Engine

from telemetry.store import shortfalls
from telemetry.store.partitions import Span
from telemetry.store.read import counted
from telemetry.store.read.counted import Hour, Partition, Range

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Round:
    """One partition while it is counted in pieces: the pieces that are left, what was counted, and the tallies at the start."""

    span: Span
    left: list[Range]
    stored: dict[int, int] | None = None
    moved: set[int] = field(default_factory=set)
    there: Counter[int] = field(default_factory=Counter)

    def add(self, hours: Mapping[int, Hour]) -> None:
        """Add a piece. An hour whose tally has moved since the first piece was written to, and says nothing."""
        tallies = {hour: one.stored for hour, one in hours.items() if one.stored}
        if self.stored is None:
            self.stored = tallies
        self.moved |= {hour for hour in self.stored.keys() | tallies.keys() if self.stored.get(hour) != tallies.get(hour)}
        self.there.update({hour: one.there for hour, one in hours.items()})

    def suspects(self) -> set[int]:
        """The hours that do not have as many samples as were stored."""
        stored = self.stored or {}
        return {hour for hour in stored.keys() | self.there.keys() if stored.get(hour, 0) != self.there[hour]} - self.moved


def differences(hours: Mapping[int, Hour], some: set[int]) -> tuple[dict[int, int], dict[int, int]]:
    """Of some hours: how many samples are missing, and how many there are too many."""
    apart = {hour: one.stored - one.there for hour, one in hours.items() if hour in some}
    return {h: n for h, n in apart.items() if n > 0}, {h: -n for h, n in apart.items() if n < 0}


class SampleAudit:
    """The round that one process is in. Each call counts pieces for about `budget_s` seconds, one at least."""

    def __init__(self, engine: Engine, budget_s: float) -> None:
        self._engine = engine
        self._budget_s = budget_s
        self._round: Round | None = None

    def count(self) -> None:
        """Go on counting, until every partition was counted once or the time is over. Raises SQLAlchemyError."""
        deadline_s, done = monotonic() + self._budget_s, set[str]()
        while self._step(done) and monotonic() < deadline_s:
            pass

    def _step(self, done: set[str]) -> bool:
        """Count a piece of the partition that was not counted for the longest time. False if nothing is left in this call."""
        with self._engine.begin() as connection:
            if not shortfalls.locked(connection):
                return False
            if self._round is None:
                partition = next((one for one in counted.partitions(connection) if one.span.table not in done), None)
                if partition is None:
                    return False
                if not partition.is_tallied:
                    _begin(connection, partition)
                    done.add(partition.span.table)
                    return True
                self._round = Round(partition.span, list(counted.ranges(connection, partition.span)))
            current = self._round
            # Forgotten first: after an error (the partition was dropped) another one is taken up.
            self._round = None
            current.add(counted.by_hour(connection, current.span, current.left.pop(0)))
            if current.left:
                self._round = current
                return True
            done.add(current.span.table)
            if suspects := current.suspects():
                _confirm(connection, current.span, suspects)
            shortfalls.counted(connection, current.span, current.there.total())
        return True


def _begin(connection: Connection, partition: Partition) -> None:
    """Take what is there for the figure of a partition that is older than the tallies; it is counted whole."""
    hours = counted.by_hour(connection, partition.span)
    shortfalls.expect(connection, {hour: one.there - one.stored for hour, one in hours.items() if one.there != one.stored})
    shortfalls.counted(connection, partition.span, sum(one.there for one in hours.values()))


def _confirm(connection: Connection, span: Span, suspects: set[int]) -> None:
    missing, more = differences(counted.by_hour(connection, span), suspects)
    if missing:
        log.error("%d samples of %s are gone: they were stored, and nobody may delete them", sum(missing.values()), span.table)
        shortfalls.record(connection, missing)
    if more:
        log.warning("%d samples of %s were stored past the ledger", sum(more.values()), span.table)
        shortfalls.expect(connection, more)
