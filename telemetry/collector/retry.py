"""Retries dead letters for a person: stores their batches here and now, without the queue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from time import monotonic

import redis
from sqlalchemy import Engine

from telemetry.collector.outcome import Outcome
from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import letters
from telemetry.settings import Settings
from telemetry.store import audit_log, deadletters


class NoLetterError(Exception):
    """There is no dead letter of that id."""


def retry(
    settings: Settings,
    engine: Engine,
    client_of: Callable[[str], redis.Redis],
    letter_ids: Iterable[int],
    *,
    actor: str,
) -> Iterator[tuple[int, Outcome]]:
    """Retry letters one after the other, as the caller asks for their outcomes. A batch that dies again gets a new letter.

    One that nobody could store is `refused`, and all stays as it was. Edges are told at their brokers (`client_of`). `actor` is
    noted in the audit log. Raises NoLetterError for an id without a letter, and what `Collector.persist` raises.
    """

    @cache
    def collector(client: redis.Redis) -> Collector:
        return Collector(settings, engine, Acks(client, Keys(settings.key_prefix), settings.ack_ttl_s), checks=False)

    for letter_id in letter_ids:
        with engine.connect() as connection:
            letter = deadletters.read(connection, letter_id)
        if letter is None:
            raise NoLetterError(f"there is no dead letter {letter_id}")
        if reason := letters.hindrance(letter.header, letter.edge, letter.batch_id):
            yield letter_id, Outcome("refused", monotonic(), error=f"{reason}. {letters.MEND}")
            continue
        with deadletters.reopened(engine, letter):
            outcome = collector(client_of(letter.header["edge"])).persist(letter.header, letter.payload)
        # The letter goes only now that its batch is stored, or has a new letter.
        with engine.begin() as connection:
            deadletters.drop(connection, letter_id)
            detail = {"batch": letter.batch_id, "edge": letter.edge, "status": outcome.shown_status}
            audit_log.note(connection, actor, "deadletter.retry", str(letter_id), detail)
        yield letter_id, outcome
