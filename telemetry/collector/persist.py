"""The service behind the ingest task: one message becomes one transaction, then an acknowledgement.

A batch that can never be stored ends as dead in the ledger and is acknowledged; a failure of the surroundings (database
away, lock timeout, deadlock) is raised, and the message comes again. Which is which, and how the dead are kept, is
`deadletters`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Literal

import numpy as np
import psycopg
import sqlalchemy.exc
from sqlalchemy import Connection, Engine, event

from telemetry.collector import deadletters
from telemetry.collector.deadletters import Message, passes
from telemetry.monitoring import traces
from telemetry.monitoring.counters import stations
from telemetry.progress.acks import Ack, Acks
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.store.partitions import Partitions
from telemetry.store.write import ledger, samples
from telemetry.store.write.series_ids import Registry

log = logging.getLogger(__name__)

# A transaction locks the partition of each day and its index, and Postgres has room for some 7,000 locks.
MOST_DAYS = 3000

Status = Literal["stored", "dead", "known", "probe"]

# What the ledger said so long ago is not acknowledged: a process frozen meanwhile may speak of a database that is gone.
STALE_S = 5.0

WRITTEN = ("stored", "duplicate", "conflict")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message: stored now, dead (why, if it died now), known before, or a probe.

    `rows` counts by class those of a batch that this message settled; it is empty for one that was known.
    """

    status: Status
    rows: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None

    @property
    def settlement(self) -> str:
        """The word that metrics have for it: what died before and came again is known."""
        return "known" if self.status == "dead" and not self.error else self.status


PROBE = Outcome("probe")
KNOWN = Outcome("known")


class Collector:
    """Persists batches with one engine, and acknowledges them."""

    def __init__(self, settings: Settings, engine: Engine, acks: Acks) -> None:
        self._engine = engine
        self._acks = acks
        self._cluster = settings.cluster_name
        # Committed here and not acknowledged yet: should that fail, the next try finds them known, and none was doubled.
        self._unacknowledged: dict[ledger.Key, Outcome] = {}
        self._registry = Registry(engine, settings.volatile_labels, settings.series_cache_size)
        self._partitions = Partitions(engine)
        self._dead = deadletters.DeadLetters(engine, self._registry)
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
        days = arranged.days()
        if len(days) > MOST_DAYS:
            raise wire.WireError(
                f"it has readings of {len(days)} days, the most is {MOST_DAYS}: ingest the file with a smaller --batch-size"
            )
        self._prepare(days)
        began_s = monotonic()
        with (
            traces.span("transaction", batches=len(batches)),
            self._engine.connect() as connection,
            connection.begin() as transaction,
        ):
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
        stations.stored(len(batches), monotonic() - began_s)
        columns = zip(counts.stored.tolist(), counts.duplicate.tolist(), counts.conflict.tolist(), strict=True)
        outcomes = [
            Outcome(
                "stored",
                dict(zip(WRITTEN, row, strict=True))
                | {"blank": batch.readings.blank, "quarantined": len(batch.readings.quarantined)},
            )
            for batch, row in zip(batches, columns, strict=True)
        ]
        for batch, outcome in zip(batches, outcomes, strict=True):
            self._committed(batch.edge, batch.batch_id, outcome)
        return outcomes

    def _prepare(self, days: Iterable[int]) -> None:
        """See that there are partitions. A database that is away has refused none."""
        try:
            self._partitions.ensure(days)
        except sqlalchemy.exc.DBAPIError as error:
            if getattr(error.orig, "sqlstate", None):
                stations.partition_refused()
            raise

    def _committed(self, edge: str, batch_id: str, outcome: Outcome) -> None:
        self._unacknowledged[edge, batch_id] = outcome
        stations.committed(edge, outcome.status, outcome.rows, cluster=self._cluster)

    def _died(self, message: Message, error: Exception) -> Outcome:
        if not deadletters.hopeless(error):
            log.error("an error nobody thought of", exc_info=error)
        return self._bury(message, error)

    def _bury(self, message: Message, error: Exception) -> Outcome:
        """Keep a message that can never be stored, and enter it as dead if it says which batch it is."""
        self._known_at_s = monotonic()
        text = deadletters.told(error)
        if known_as := self._dead.keep(message, text):
            return Outcome("dead") if known_as == "dead" else KNOWN
        batch = deadletters.checked(message[0])
        outcome = Outcome("dead", {"dead": batch["rows"]["read"]} if batch else {}, text)
        if batch:
            self._committed(batch["edge"], batch["batch_id"], outcome)
        return outcome

    def _acknowledge(self, outcomes: Iterable[tuple[Any, Outcome]]) -> None:
        if monotonic() - self._known_at_s > STALE_S:
            raise TimeoutError("too late for an acknowledgement: the ledger is asked again")
        own = dict(self._unacknowledged)
        settled = [
            (checked, own.pop((checked["edge"], checked["batch_id"]), outcome))
            for header, outcome in outcomes
            if (checked := deadletters.checked(header))
        ]
        with traces.span("acknowledge", batches=len(settled)):
            now_us = self._acks.send(
                Ack(
                    header["edge"], header["source"]["id"], header["batch_id"], "dead" if outcome.status == "dead" else "stored"
                )
                for header, outcome in settled
            )
        self._unacknowledged.clear()
        for header, outcome in settled:
            stations.acknowledged(header, outcome.settlement, outcome.rows, cluster=self._cluster, acknowledged_us=now_us)

    def _forget(self, *_: Any) -> None:
        self._connections += 1
        self._registry.forget()
        self._partitions.forget()


def _driver(connection: Connection) -> psycopg.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection), "the engine's URL names psycopg"  # noqa: S101
    return driver
