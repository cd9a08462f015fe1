"""Runs the chores of upkeep in a process of a collector's pool: decides which is due, and how much of it is done at once.

A chore runs after a group was committed and before the broker is told so; it must neither fail nor take long. Each is due by
time. All that are due run after a group, the one that waits longest first and each once, and none begins after TEND_S. So none
starves where groups are few, and where chores take long a group waits for one of them. Then the process stores for REST times
as long before it does another, but for those that are not urgent: where all is overdue, as after an outage, batches go first.
One that fails is tried again later with half as much to do. Why the collectors do this:
docs/decisions/0006-folding-the-ledger.md. What the chores are: `telemetry.store.upkeep.chores`.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Sequence

import psycopg
import sqlalchemy.exc
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Engine

from telemetry.settings import Settings
from telemetry.store.upkeep import chores
from telemetry.store.upkeep.chores import CHORES, Chore

log = logging.getLogger(__name__)

# A group that took longer has no time left for upkeep: at its time limit the whole group would go back to the queue.
BUSY_S = 5.0
# After so long no further chore is begun.
TEND_S = 0.5
# So many times as long as urgent chores took, a process does none: together they take a quarter of its time at most.
REST = 3.0


class Plan:
    """When one process does a chore next, and the most rows it handles then."""

    def __init__(self, chore: Chore) -> None:
        self.chore = chore
        self.due_s = 0.0
        self.limit = chore.max_rows
        self.postpone()

    def postpone(self) -> None:
        """Make it due one interval from now, less what jitter takes, so that processes take turns."""
        self.due_s = time.monotonic() + self.chore.interval_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter

    def failed(self) -> None:
        """Back off: half as many rows the next time."""
        self.limit = max(1, self.limit // 2)

    def succeeded(self, rows: int) -> None:
        """Make it due at once if rows may be left and it is urgent; undo the back-off step by step."""
        if rows == self.limit and self.chore.urgent:
            self.due_s = time.monotonic()
        self.limit = min(self.chore.max_rows, 2 * self.limit)


class Upkeep:
    """The chores of one process."""

    def __init__(self, engine: Engine, settings: Settings, chores: Sequence[Chore] = CHORES) -> None:
        self._engine = engine
        self._settings = settings
        self._plans = [Plan(chore) for chore in chores]
        self._rests_until_s = 0.0

    def tend(self, spent_s: float) -> int:
        """Do the chores that are due, after a group that took `spent_s`. Returns the rows that they handled."""
        begun_s, rows = time.monotonic(), 0
        may_all = begun_s >= self._rests_until_s
        plans = [] if spent_s > BUSY_S else [plan for plan in self._plans if may_all or not plan.chore.urgent]
        due = [plan for plan in plans if plan.due_s <= begun_s]
        for plan in sorted(due, key=lambda plan: plan.due_s):
            before_s = time.monotonic()
            rows += self._do(plan)
            now_s = time.monotonic()
            if plan.chore.urgent:
                self._rests_until_s = max(self._rests_until_s, now_s) + REST * (now_s - before_s)
            if now_s - begun_s > TEND_S:
                break
        return rows

    def _do(self, plan: Plan) -> int:
        """Do a chore. A failure is logged, and the chore is tried again when it is due next."""
        plan.postpone()
        try:
            rows = chores.run(self._engine, self._settings, plan.chore, plan.limit)
        except (sqlalchemy.exc.SQLAlchemyError, psycopg.Error, SoftTimeLimitExceeded) as error:
            log.warning("upkeep: %s failed and is tried again: %s", plan.chore.name, str(error).partition("\n")[0])
            plan.failed()
            return 0
        plan.succeeded(rows)
        return rows
