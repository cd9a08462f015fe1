"""What a collector does now and then beside its batches, in a process of its pool: it folds the old part of the ledger.

It is done after a group was committed and before that is said, so it must neither fail nor take long.

Why here: docs/decisions/0006-folding-the-ledger.md. How: `telemetry.store.upkeep.ledger_folding`.
"""

from __future__ import annotations

import logging
import random
import time

import sqlalchemy.exc
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Engine

from telemetry.settings import Settings
from telemetry.store.upkeep.ledger_folding import MOST_BATCHES, fold, fold_after_s

log = logging.getLogger(__name__)

EVERY_S = 60.0
# A group that took longer has no time left for upkeep: at its limit all of it would go back.
BUSY_S = 5.0


class Upkeep:
    """The upkeep one process does. `every_s` apart, less what jitter takes, so that processes take turns."""

    def __init__(self, engine: Engine, settings: Settings, every_s: float = EVERY_S) -> None:
        self._engine = engine
        self._fold_after_s = fold_after_s(settings)
        self._every_s = every_s
        self._due_s = 0.0
        self._most = MOST_BATCHES
        self._plan()

    def tend(self, spent_s: float) -> int:
        """Do what is due, after a group that took `spent_s`; the batches folded. What does not work now is tried again."""
        if spent_s > BUSY_S or time.monotonic() < self._due_s:
            return 0
        self._plan()
        try:
            folded = fold(self._engine, self._fold_after_s, self._most)
        except (sqlalchemy.exc.SQLAlchemyError, SoftTimeLimitExceeded) as error:
            log.warning("cannot fold the ledger: %s", str(error).partition("\n")[0])
            self._most = max(1, self._most // 2)
            return 0
        if folded == self._most:
            self._due_s = 0.0
        self._most = min(MOST_BATCHES, 2 * self._most)
        return folded

    def _plan(self) -> None:
        self._due_s = time.monotonic() + self._every_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
