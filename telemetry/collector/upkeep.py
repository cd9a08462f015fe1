"""Runs the chores of upkeep in a process of a collector's pool: decides which is due, and how much of it is done at once.

A chore runs after a group was committed and before the broker is told so; it must neither fail nor take long. So at most one
runs after each group, and one that fails is tried again later with half as much to do. Why the collectors do this:
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
        """Make it due now if rows may be left; undo the back-off step by step."""
        if rows == self.limit and self.chore.urgent:
            self.due_s = time.monotonic()
        self.limit = min(self.chore.max_rows, 2 * self.limit)


class Upkeep:
    """The chores of one process."""

    def __init__(self, engine: Engine, settings: Settings, chores: Sequence[Chore] = CHORES) -> None:
        self._engine = engine
        self._settings = settings
        self._plans = [Plan(chore) for chore in chores]

    def tend(self, spent_s: float) -> int:
        """Do the chore that is most overdue, if one is due, after a group that took `spent_s`. Returns the rows it handled.

        A failure is logged, and the chore is tried again when it is due next.
        """
        plan = min(self._plans, key=lambda plan: plan.due_s)
        if spent_s > BUSY_S or time.monotonic() < plan.due_s:
            return 0
        plan.postpone()
        try:
            rows = chores.run(self._engine, self._settings, plan.chore, plan.limit)
        except (sqlalchemy.exc.SQLAlchemyError, psycopg.Error, SoftTimeLimitExceeded) as error:
            log.warning("upkeep: %s failed and is tried again: %s", plan.chore.name, str(error).partition("\n")[0])
            plan.failed()
            return 0
        plan.succeeded(rows)
        return rows
