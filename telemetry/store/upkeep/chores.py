"""The chores of upkeep, and how one of them is run: one transaction, under a lock that all processes share.

A chore does a bounded piece of its work each time, so that it can be given up and begun again. To add one, write a module
beside this one and a line in CHORES.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from telemetry.settings import Settings
from telemetry.store import locks
from telemetry.store.upkeep import (
    joining,
    judging,
    ledger_folding,
    merging,
    old_rows,
    retention,
    sealing,
    tally_folding,
    usage_hours,
)

# A chore delays the group of batches that it comes after.
TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class Chore:
    """A piece of work that is due every `interval_s`.

    `work` gets the connection, the settings and a limit, handles that many rows, and what goes with them, in the caller's
    transaction, and returns how many, at most the limit. `max_rows` is the largest limit. `lock_key` is any number that no
    other lock of this project has. What an `urgent` chore leaves over is due at once; what another one does waits for its next
    time, so that collectors spend no more on it.
    """

    name: str
    lock_key: int
    interval_s: float
    max_rows: int
    work: Callable[[Connection, Settings, int], int]
    urgent: bool = True


LEDGER_FOLDING = Chore("ledger folding", locks.LEDGER_FOLDING, 60.0, ledger_folding.MAX_BATCHES, ledger_folding.fold_old)
JOINING = Chore("joining of GPUs", locks.JOINING, 60.0, joining.MAX_GPUS, joining.join)
TALLY_FOLDING = Chore("tally folding", locks.TALLY_FOLDING, 60.0, tally_folding.MAX_ROWS, tally_folding.fold)
USAGE = Chore("sums of usage", locks.USAGE, 60.0, usage_hours.MAX_MARKS, usage_hours.sum_up)
JUDGING = Chore("judging health", locks.JUDGING, 30.0, judging.MOST_S, judging.judge, urgent=False)
SEALING = Chore("sealing", locks.SEALING, 60.0, sealing.MAX_SAMPLES, sealing.step)
RETENTION = Chore("retention", locks.RETENTION, 300.0, merging.MAX_LATE, retention.step)
OLD_ROWS = Chore("dropping old rows", locks.OLD_ROWS, 300.0, old_rows.MAX_ROWS, old_rows.drop)
CHORES = (LEDGER_FOLDING, JOINING, TALLY_FOLDING, USAGE, JUDGING, SEALING, RETENTION, OLD_ROWS)


def run(engine: Engine, settings: Settings, chore: Chore, limit: int) -> int:
    """Do a piece of a chore and commit it. Returns how many rows were handled: 0 while another process does that chore.

    Raises SQLAlchemyError, also when a statement takes longer than TIMEOUT_S: then a smaller limit may do.
    """
    with engine.begin() as connection:
        connection.execute(text(f"SET LOCAL statement_timeout = '{TIMEOUT_S}s'"))
        if not connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": chore.lock_key}):
            return 0
        return chore.work(connection, settings, limit)
