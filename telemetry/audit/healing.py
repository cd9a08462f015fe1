"""Has sources read again that may have brought samples which are gone, until all came back or no source is left.

Nobody knows which source brought a sample. So the first candidate is read again, then as many as before each time: one that
is at fault is found soon, and a fleet is not read again for one row.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice

import redis
from sqlalchemy import Engine

from telemetry.audit.rereading import Rereading, States, of_files
from telemetry.store import shortfalls
from telemetry.store.shortfalls import Open, Stretch

log = logging.getLogger(__name__)

# A source that takes longer, or whose edge is away, is waited for no more.
PATIENCE = timedelta(minutes=10)
# What an edge said of a source sooner after it was asked may be of before.
SETTLING = timedelta(seconds=5)


def is_read_again(stretch: Stretch, states: States) -> bool:
    """Whether all of a stretch is committed again, or its files are gone."""
    return all(state.window.committed >= stretch.end for _, state in of_files(states, stretch.edge, stretch.fingerprint))


def is_back(stretch: Stretch, states: States, now: datetime) -> bool:
    """Whether an edge says that all of a stretch is committed again."""
    files = of_files(states, stretch.edge, stretch.fingerprint)
    return now - stretch.since > SETTLING and any(state.window.committed >= stretch.end for _, state in files)


def can_be_read(stretch: Stretch, states: States) -> bool:
    """Whether an edge has a file that is committed into a stretch. Of one that is gone it would have nothing to read."""
    files = of_files(states, stretch.edge, stretch.fingerprint)
    return any(state.window.committed > stretch.start and not state.gone for _, state in files)


def next_ones(asked: Sequence[Stretch], candidates: Iterable[Stretch], states: States, now: datetime) -> list[Stretch]:
    """The stretches to read again now: none while others are, else as many as before, of those whose files are there."""
    if any(now - stretch.since < PATIENCE and not is_read_again(stretch, states) for stretch in asked):
        return []
    return list(islice((stretch for stretch in candidates if can_be_read(stretch, states)), max(1, len(asked))))


def heal(engine: Engine, rereading: Rereading, states: States, now: datetime) -> Open | None:
    """Settle the shortfall if all came back, else have more sources read again. Returns what is left of it.

    `states`: what the edges said of their sources after `now`, a time of the database, without those whose broker is away.
    Raises SQLAlchemyError.
    """
    with engine.begin() as connection:
        shortfall = shortfalls.unsettled(connection)
        if shortfall is None or not shortfalls.locked(connection):
            return shortfall
        asked, candidates = shortfalls.rereads(connection), shortfalls.candidates(connection, shortfall)
        # What a batch stores beside what was there before cannot be told apart, so fewer may be counted than came back. But
        # where all was read again that may have brought a sample, none is missing.
        is_all_back = bool(asked) and not candidates and all(is_back(stretch, states, now) for stretch in asked)
        if shortfall.restored >= shortfall.missing or (is_all_back and not shortfalls.has_replays(connection, shortfall)):
            log.info("%d samples that were gone are there again", shortfall.missing)
            shortfalls.settle(connection, shortfall._replace(restored=shortfall.missing))
            return None
        chosen = next_ones(asked, candidates, states, now)
        for stretch in chosen:
            shortfalls.give_up(connection, stretch)
    # Should this process end here, or the broker be away, the ledger has a gap below what the edge holds for committed, and is
    # healed as one.
    with engine.connect() as connection:
        for stretch in chosen:
            with suppress(redis.RedisError):
                rereading.set_back(connection, stretch.edge, stretch.fingerprint, stretch.start)
    return shortfall
