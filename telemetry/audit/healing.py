"""Has sources read again that may have brought samples which are gone, until all came back or no source is left.

Nobody knows which source brought a sample. So the first candidate is read again, then as many as before each time: one that
is at fault is found soon, and a fleet is not read again for one row.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

from sqlalchemy import Engine

from telemetry.audit.rereading import Rereading, States, of_files
from telemetry.store import shortfalls
from telemetry.store.shortfalls import Open, Stretch

log = logging.getLogger(__name__)

# A source that takes longer, or whose edge is away, is waited for no more.
PATIENCE = timedelta(minutes=10)


def is_read_again(stretch: Stretch, states: States) -> bool:
    """Whether all of a stretch is committed again, or its files are gone."""
    return all(state.window.committed >= stretch.end for _, state in of_files(states, stretch.edge, stretch.fingerprint))


def can_be_read(stretch: Stretch, states: States) -> bool:
    """Whether an edge knows a file that is committed into a stretch."""
    return any(state.window.committed > stretch.start for _, state in of_files(states, stretch.edge, stretch.fingerprint))


def next_ones(asked: Sequence[Stretch], candidates: Iterable[Stretch], states: States, now: datetime) -> list[Stretch]:
    """The stretches to read again now: none while others are, else as many as before, of those whose files are there."""
    if any(now - stretch.since < PATIENCE and not is_read_again(stretch, states) for stretch in asked):
        return []
    return list(islice((stretch for stretch in candidates if can_be_read(stretch, states)), max(1, len(asked))))


def heal(engine: Engine, rereading: Rereading, states: States) -> Open | None:
    """Settle the shortfall if all came back, else have more sources read again. Returns what is left of it.

    `states`: what the edges say of their sources. Raises SQLAlchemyError and RedisError.
    """
    with engine.begin() as connection:
        shortfall = shortfalls.unsettled(connection)
        if shortfall is None or not shortfalls.locked(connection):
            return shortfall
        if shortfall.restored >= shortfall.missing:
            log.info("%d samples that were gone are there again", shortfall.missing)
            shortfalls.settle(connection, shortfall)
            return None
        asked = shortfalls.rereads(connection)
        chosen = next_ones(asked, shortfalls.candidates(connection, shortfall), states, datetime.now(UTC))
        for stretch in chosen:
            shortfalls.give_up(connection, stretch)
    # Should this process end here, the ledger has a gap below what the edge holds for committed, and is healed as one.
    with engine.connect() as connection:
        for stretch in chosen:
            rereading.set_back(connection, stretch.edge, stretch.fingerprint, stretch.start)
    return shortfall
