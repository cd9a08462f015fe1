"""What a collector does now and then beside its batches, in a process of its pool: it folds the old part of the ledger.

Why here: docs/decisions/0006-folding-the-ledger.md. How: `telemetry.store.folding`.
"""

from __future__ import annotations

import logging
import random
import time

import sqlalchemy.exc
from sqlalchemy import Engine

from telemetry.settings import Settings
from telemetry.store.folding import MOST_BATCHES, fold, fold_after_s

log = logging.getLogger(__name__)

EVERY_S = 60.0


class Upkeep:
    """The upkeep one process does. `every_s` apart, less what jitter takes, so that processes take turns."""

    def __init__(self, engine: Engine, settings: Settings, every_s: float = EVERY_S) -> None:
        self._engine = engine
        self._fold_after_s = fold_after_s(settings)
        self._every_s = every_s
        self._due_s = 0.0
        self._plan()

    def tend(self) -> int:
        """Do what is due; the batches folded. It never fails: what does not work now is tried again."""
        if time.monotonic() < self._due_s:
            return 0
        self._plan()
        try:
            folded = fold(self._engine, self._fold_after_s)
        except sqlalchemy.exc.SQLAlchemyError as error:
            log.warning("cannot fold the ledger: %s", str(error).splitlines()[0])
            return 0
        if folded == MOST_BATCHES:
            self._due_s = 0.0
        return folded

    def _plan(self) -> None:
        self._due_s = time.monotonic() + self._every_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
