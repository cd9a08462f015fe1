"""The service behind the ingest task: one message becomes one transaction, then an acknowledgement.

It decides what a failure means. A batch that can never be stored ends as dead in the ledger and is acknowledged; a failure
of the surroundings (database away, lock timeout, deadlock) is raised, and the message comes again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal

import numpy as np
import psycopg
import redis
import sqlalchemy.exc
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Connection, Engine, event, insert

from telemetry.collector import ledger, samples
from telemetry.collector.acks import Acks
from telemetry.collector.registry import Registry
from telemetry.monitoring import trail
from telemetry.readings import wire
from telemetry.readings.identity import digest
from telemetry.settings import Settings
from telemetry.store.models import DeadLetter
from telemetry.store.partitions import Partitions

log = logging.getLogger(__name__)

Status = Literal["stored", "dead", "known", "probe"]

# Errors that the batch itself causes and that will be the same the next time.
HOPELESS = (wire.WireError, psycopg.errors.DataError, psycopg.errors.CheckViolation, sqlalchemy.exc.DataError)
# Failures of everything around: another time, or another worker, may do better.
SURROUNDINGS = (sqlalchemy.exc.SQLAlchemyError, psycopg.Error, redis.RedisError, OSError, MemoryError, SoftTimeLimitExceeded)
MAX_ERROR_CHARACTERS = 2000
# What the ledger said so long ago is not acknowledged: a process frozen meanwhile may speak of a database that is gone.
STALE_S = 5.0


def passes(error: Exception) -> bool:
    """Whether an error is one of the surroundings, of which the batch knows nothing."""
    return isinstance(error, SURROUNDINGS) and not isinstance(error, HOPELESS)


Message = tuple[Any, Any]


@dataclass(frozen=True, slots=True)
class Written:
    """Rows of a batch by class."""

    stored: int
    duplicate: int
    conflict: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message: stored now (its rows by class), dead (why, if it died now), known before, or a probe."""

    status: Status
    written: Written | None = None
    error: str | None = None


PROBE = Outcome("probe")
KNOWN = Outcome("known")


class Collector:
    """Persists batches with one engine, and acknowledges them."""

    def __init__(self, settings: Settings, engine: Engine, acks: Acks) -> None:
        self._engine = engine
        self._acks = acks
        self._cluster = settings.cluster_name
        self._registry = Registry(engine, settings.volatile_labels, settings.series_cache_size)
        self._partitions = Partitions(engine)
        self._connections = 0
        self._known_at_s = monotonic()
        event.listen(engine, "connect", self._forget)

    def persist(self, header: Any, payload: Any) -> Outcome:
        """Store one message, whatever it holds. Raises NewerVersionError and SURROUNDINGS."""
        (outcome,) = self.persist_all([(header, payload)])
        if isinstance(outcome, wire.NewerVersionError):
            raise outcome
        return outcome

    def persist_all(self, messages: Sequence[Message]) -> list[Outcome | wire.NewerVersionError]:
        """Store messages in one transaction if they let it, and acknowledge them.

        Raises SURROUNDINGS; then none is acknowledged. What is wrong with one message harms no other. An error that nobody
        thought of kills its batch: it is kept with its message, and blocks nothing.
        """
        outcomes = self._outcomes(messages)
        told = zip(messages, outcomes, strict=True)
        self._acknowledge([(header, outcome) for (header, _), outcome in told if isinstance(outcome, Outcome)])
        return outcomes

    def condemn(self, message: Message, error: Exception) -> Outcome:
        """Keep a message as a dead letter unread, for something outside of it has shown that it cannot be processed."""
        outcome = self._bury(message, error)
        self._acknowledge([(message[0], outcome)])
        return outcome

    def _outcomes(self, messages: Sequence[Message]) -> list[Outcome | wire.NewerVersionError]:
        self._known_at_s = monotonic()
        outcomes: list[Outcome | wire.NewerVersionError] = []
        batches: dict[int, wire.Batch] = {}
        for n, message in enumerate(messages):
            outcomes.append(PROBE)
            try:
                batch = wire.decode(*message)
                if batch.start < batch.end:
                    batches[n] = batch
            except wire.NewerVersionError as error:
                outcomes[n] = error
            except Exception as error:
                if passes(error):
                    raise
                outcomes[n] = self._died(message, error)
        stored = self._store_some(list(batches.values()), [messages[n] for n in batches])
        for n, outcome in zip(batches, stored, strict=True):
            outcomes[n] = outcome
        return outcomes

    def _store_some(self, batches: list[wire.Batch], messages: list[Message]) -> list[Outcome]:
        """Store batches together, or each by itself when one of them makes that fail."""
        try:
            return self._store(batches) if batches else []
        except Exception as error:
            if passes(error):
                raise
            if len(batches) == 1:
                return [self._died(messages[0], error)]
        pairs = zip(batches, messages, strict=True)
        return [outcome for batch, message in pairs for outcome in self._store_some([batch], [message])]

    def _store(self, batches: list[wire.Batch]) -> list[Outcome]:
        """Store batches in one transaction; those the ledger has already are left out."""
        new = {(batch.edge, batch.batch_id): batch for batch in batches}
        outcomes: dict[ledger.Key, Outcome] = {}
        # Nearly always none of them is known, and asking first would be a round trip for nothing.
        while new and not (stored := self._store_new(list(new.values()))):
            self._known_at_s = monotonic()
            with self._engine.connect() as connection:
                known = ledger.statuses(connection, list(new))
            outcomes |= {key: Outcome("dead" if status == "dead" else "known") for key, status in known.items()}
            new = {key: batch for key, batch in new.items() if key not in known}
        if new:
            outcomes |= dict(zip(new, stored, strict=True))
        # A copy in the same group finds its batch stored already.
        return [outcomes.pop((batch.edge, batch.batch_id), KNOWN) for batch in batches]

    def _store_new(self, batches: list[wire.Batch]) -> list[Outcome]:
        """Store batches, or none of them, and say nothing, if the ledger has one already or their ids may be out of date."""
        resolved_at = self._connections
        source_ids = self._registry.source_ids([(batch.edge, batch.source) for batch in batches])
        ids = self._registry.series_ids([batch.readings.series for batch in batches])
        parts = [
            (of[batch.readings.codes], batch.readings.ts_us, batch.readings.values)
            for of, batch in zip(ids, batches, strict=True)
        ]
        arranged = samples.arrange(parts)
        self._partitions.ensure(arranged.days())
        began_s = monotonic()
        with self._engine.connect() as connection, connection.begin() as transaction:
            # A connection newer than the ids may lead to a restored database, where they mean other series or none.
            fresh = resolved_at == self._connections
            if not fresh or not ledger.enter(connection, batches, source_ids, arranged.expected):
                transaction.rollback()
                return []
            counts = samples.write(_driver(connection), arranged)
            wrong = np.flatnonzero(~counts.same_as(arranged.expected)).tolist()
            if wrong:
                ledger.correct(connection, batches, counts, wrong)
            ledger.quarantine(connection, batches, source_ids)
            # Before the COMMIT, so that all the time after it counts.
            self._known_at_s = monotonic()
        trail.stored(len(batches), monotonic() - began_s)
        columns = zip(counts.stored.tolist(), counts.duplicate.tolist(), counts.conflict.tolist(), strict=True)
        return [Outcome("stored", Written(*row)) for row in columns]

    def _died(self, message: Message, error: Exception) -> Outcome:
        if not isinstance(error, HOPELESS):
            log.error("an error nobody thought of", exc_info=error)
        return self._bury(message, error)

    def _bury(self, message: Message, error: Exception) -> Outcome:
        """Keep a message that can never be stored, and enter it as dead if it says which batch it is."""
        self._known_at_s = monotonic()
        header, payload = message
        known = header if isinstance(header, dict) else {}
        text = f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARACTERS]
        body = payload if isinstance(payload, bytes) else repr(payload).encode()
        checked = _checked(header)
        row: dict[str, Any] | None = None
        if checked:
            key = (checked["edge"], checked["batch_id"])
            with self._engine.connect() as connection:
                known_as = ledger.statuses(connection, [key]).get(key)
            if known_as:
                return Outcome("dead" if known_as == "dead" else "known")
            source = wire.Source(**{name: checked["source"][name] for name in wire.SOURCE})
            (source_id,) = self._registry.source_ids([(checked["edge"], source)])
            row = ledger.dead_row(checked, source_id, text)
        with self._engine.begin() as connection:
            if row and not ledger.is_new(connection, row):
                return Outcome("dead")
            connection.execute(
                insert(DeadLetter).values(
                    edge=checked and checked["edge"],
                    batch_id=checked["batch_id"] if checked else digest(body),
                    error=text.replace("\0", "\\0"),
                    header=_storable(known),
                    payload=body,
                )
            )
        return Outcome("dead", error=text)

    def _acknowledge(self, outcomes: Iterable[tuple[Any, Outcome]]) -> None:
        if monotonic() - self._known_at_s > STALE_S:
            raise TimeoutError("too late for an acknowledgement: the ledger is asked again")
        settled = [(checked, outcome) for header, outcome in outcomes if (checked := _checked(header))]
        now_us = self._acks.send(
            (header["edge"], header["source"]["id"], header["batch_id"], "dead" if outcome.status == "dead" else "stored")
            for header, outcome in settled
        )
        for header, outcome in settled:
            rows = _classes(header, outcome)
            trail.settled(header, outcome.status, rows, cluster=self._cluster, acknowledged_us=now_us)

    def _forget(self, *_: Any) -> None:
        self._connections += 1
        self._registry.forget()
        self._partitions.forget()


def _driver(connection: Connection) -> psycopg.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection), "the engine's URL names psycopg"  # noqa: S101
    return driver


def _checked(header: Any) -> dict[str, Any] | None:
    """The header, None if it names no batch that could be entered and acknowledged."""
    try:
        return wire.check_header(header)
    except wire.WireError:
        return None


def _classes(header: dict[str, Any], outcome: Outcome) -> dict[str, int]:
    """What became of the rows of a batch that this message settled; nothing for one that was known before."""
    rows, written = header["rows"], outcome.written
    if written is not None:
        of_file = {"blank": rows["blank"], "quarantined": rows["quarantined"]}
        return {"stored": written.stored, "duplicate": written.duplicate, "conflict": written.conflict, **of_file}
    return {"dead": rows["read"]} if outcome.error else {}


def _storable(header: dict[Any, Any]) -> Any:
    """A stranger's header as JSON can hold it."""
    return json.loads(json.dumps(header, default=repr, skipkeys=True).replace("\\u0000", "\\ufffd"))
