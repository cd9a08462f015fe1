"""The service behind the ingest task: messages become one transaction, then acknowledgements.

A batch that can never be stored ends as dead in the ledger and is acknowledged; a failure of the surroundings (database
away, lock timeout, deadlock) is raised, and the message comes again. Which is which is decided by `blame`. `writer` stores,
`deadletters` keeps what cannot be stored, `settlements` acknowledges.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

from sqlalchemy import Engine

from telemetry.collector import blame, days, deadletters
from telemetry.collector.days import Content
from telemetry.collector.intake import Amount, Intake
from telemetry.collector.messages import Header, Message, Readable, Refused, Unreadable, checked, read
from telemetry.collector.outcome import Outcome
from telemetry.collector.settlements import Settlements
from telemetry.collector.writer import BatchWriter
from telemetry.monitoring.counters import stations
from telemetry.progress.acks import Acks
from telemetry.readings.wire import NewerVersionError
from telemetry.settings import Settings
from telemetry.store import edge_credentials
from telemetry.trust.keyring import Keyring

log = logging.getLogger(__name__)


class Collector:
    """Persists batches with one engine, and acknowledges them. Without `checks` it believes them: they were checked before."""

    def __init__(
        self, settings: Settings, engine: Engine, acks: Acks, intake: Intake | None = None, *, checks: bool = True
    ) -> None:
        self._engine = engine
        self._keyring = Keyring.of(settings, self._valid)
        self._checks = checks
        self._intake = intake
        self._writer = BatchWriter(settings, engine)
        self._dead = deadletters.DeadLetters(engine, self._writer.source_ids)
        self._settlements = Settlements(acks, settings.cluster_name, self._keyring)

    def persist(self, header: Any, payload: Any) -> Outcome:
        """Store one message, whatever it holds. Raises NewerVersionError and TRANSIENT."""
        (outcome,) = self.persist_all([(header, payload)])
        if isinstance(outcome, NewerVersionError):
            raise outcome
        return outcome

    def persist_all(self, messages: Sequence[Message]) -> list[Outcome | NewerVersionError]:
        """Store messages, in one transaction if possible, and acknowledge them. Returns the outcome of each, in order.

        Raises TRANSIENT; then none is acknowledged. What is wrong with one message does not harm the others. An error that is
        neither hopeless nor transient kills its batch: the message is kept, and blocks nothing.
        """
        refused: list[Refused | None] = [self._distrusted(message) for message in messages]
        admitted: Mapping[str, Amount] = {}
        if self._intake:
            believed = [None if reason else message for message, reason in zip(messages, refused, strict=True)]
            judged = self._intake.judge(believed)
            refused = [first or self._beyond(second) for first, second in zip(refused, judged.refusals, strict=True)]
            admitted = judged.admitted
        judged_days = self._within_days([reason or read(message) for message, reason in zip(messages, refused, strict=True)])
        contents = judged_days.contents
        stored = iter(self._store([content for content in contents if isinstance(content, Readable) and not content.is_probe]))
        outcomes: list[Outcome | NewerVersionError] = []
        settled: list[tuple[Header | None, Outcome]] = []
        for content in contents:
            match content:
                case Refused():
                    outcomes.append(Outcome("refused", monotonic()))
                    continue
                case Unreadable(error=NewerVersionError() as newer):
                    outcomes.append(newer)
                    continue
                case Unreadable():
                    outcome = self._die(content.message, content.header, content.error)
                case Readable(is_question=True):
                    outcome = self._writer.held(content.batch)
                case Readable(is_probe=True):
                    outcome = Outcome("probe", content.read_at_s)
                case Readable():
                    outcome = next(stored)
            outcomes.append(outcome)
            settled.append((content.header, outcome))
        if self._intake:
            self._intake.charge(admitted)
            self._intake.days.charge(judged_days.admitted)
        self._settlements.acknowledge(settled)
        return outcomes

    def condemn(self, message: Message, error: Exception) -> Outcome:
        """Keep a message as a dead letter without reading it, as earlier attempts have shown that it cannot be processed."""
        if self._distrusted(message):
            return Outcome("refused", monotonic())
        header = checked(message[0])
        outcome = self._bury(message, header, error)
        self._settlements.acknowledge([(header, outcome)])
        return outcome

    def _distrusted(self, message: Message) -> Refused | None:
        """Why a message is not believed. What is wrong with it says nothing of the batch that it claims to be."""
        reason = self._keyring.refusal(message[0]) if self._checks else None
        if reason is None:
            return None
        stations.distrusted(message[0], reason)
        return Refused(reason)

    def _beyond(self, refused: Refused | None) -> Refused | None:
        if refused and refused.edge:
            stations.beyond(refused.edge, refused.reason)
        return refused

    def _within_days(self, contents: Sequence[Content]) -> days.Judged:
        if not self._intake:
            return days.Judged(contents, {})
        judged = self._intake.days.judge(contents)
        for before, content in zip(contents, judged.contents, strict=True):
            if content is not before and isinstance(content, Refused):
                self._beyond(content)
        return judged

    def _valid(self) -> dict[str, list[int]]:
        with self._engine.connect() as connection:
            return edge_credentials.valid(connection)

    def _store(self, contents: Sequence[Readable]) -> list[Outcome]:
        """Store batches together, or each by itself when one of them makes that fail."""
        if not contents:
            return []
        try:
            outcomes = self._writer.write([content.batch for content in contents])
        except Exception as error:
            if blame.is_transient(error):
                raise
            if len(contents) == 1:
                return [self._die(contents[0].message, contents[0].header, error)]
        else:
            for content, outcome in zip(contents, outcomes, strict=True):
                if outcome.status == "stored":
                    self._settlements.committed(content.batch.edge, content.batch.batch_id, outcome)
            return outcomes
        return [outcome for content in contents for outcome in self._store([content])]

    def _die(self, message: Message, header: Header | None, error: Exception) -> Outcome:
        if not blame.is_hopeless(error):
            log.error("an unexpected error; the batch is kept as a dead letter", exc_info=error)
        return self._bury(message, header, error)

    def _bury(self, message: Message, header: Header | None, error: Exception) -> Outcome:
        """Keep a message that can never be stored, and enter its batch as dead if the header names one."""
        known_at_s = monotonic()
        text = deadletters.describe(error)
        match self._dead.keep(message, header, text):
            case "dead":
                return Outcome("known dead", known_at_s)
            case "stored":
                return Outcome("known", known_at_s)
        if not header:
            return Outcome("dead", known_at_s, error=text)
        outcome = Outcome("dead", known_at_s, {"dead": header["rows"]["read"]}, text)
        self._settlements.committed(header["edge"], header["batch_id"], outcome)
        return outcome
