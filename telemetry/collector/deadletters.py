"""Keeps messages that can never be stored, whatever is in them: as a dead letter, and as dead in the ledger.

What strangers send may not fit into the tables. Then less of it is kept, because a message that can be neither stored nor kept
would come again for ever. Which errors are hopeless is decided by `blame`; the SQL is in `telemetry.store`.
"""

from __future__ import annotations

import json
import math
from typing import Any

from sqlalchemy import Engine

from telemetry.collector import blame
from telemetry.collector.messages import Header, Message
from telemetry.readings import letters, wire
from telemetry.readings.digests import digest
from telemetry.store import deadletters
from telemetry.store.deadletters import Letter
from telemetry.store.write import ledger
from telemetry.store.write.source_ids import SourceIds

MAX_ERROR_CHARACTERS = 2000
MAX_HEADER_CHARACTERS = 1 << 16
MAX_DEPTH = 20
# Of the payload of one letter, and of those of all letters together. What is longer is cut to its beginning.
MAX_PAYLOAD_BYTES = wire.MAX_PAYLOAD_BYTES
MAX_ALL_BYTES = 512 << 20
BEGINNING_BYTES = 1 << 12


def describe(error: Exception) -> str:
    """The text that is kept of an error."""
    text: str = storable(f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARACTERS])
    return text


def storable(value: Any, depth: int = 0) -> Any:
    """A stranger's value as Postgres can hold it in text and JSON."""
    match value:
        case str():
            return value.replace("\0", "\ufffd").encode(errors="replace").decode()
        case None | bool() | int() | float() if not isinstance(value, float) or math.isfinite(value):
            return value
        case dict() | list() | tuple() if depth == MAX_DEPTH:
            return "…"
        case dict():
            return {
                storable(name if isinstance(name, str) else repr(name)): storable(item, depth + 1)
                for name, item in value.items()
            }
        case list() | tuple():
            return [storable(item, depth + 1) for item in value]
    return storable(repr(value))


class DeadLetters:
    """The dead letters that one collector process writes."""

    def __init__(self, engine: Engine, source_ids: SourceIds) -> None:
        self._engine = engine
        self._source_ids = source_ids

    def keep(self, message: Message, header: Header | None, error: str) -> str | None:
        """Keep a message, and enter its batch as dead if the checked `header` names one.

        Returns the batch's status if the ledger has it already; then nothing is written. Returns None once the message is kept.
        Raises database errors.
        """
        stated, payload = message
        body = payload if isinstance(payload, bytes) else json.dumps(storable(payload)).encode()
        letter = self._fitted(Letter(error, _kept(stated) if isinstance(stated, dict) else {}, body))
        if header is not None:
            try:
                return self._enter(header, letter)
            except Exception as again:
                if not blame.is_hopeless(again):
                    raise
        with self._engine.begin() as connection:
            deadletters.add_nameless(connection, letter, digest(body))
        return None

    def _fitted(self, letter: Letter) -> Letter:
        """The letter, cut to what may be kept; its error tells of that."""
        size = len(letter.payload)
        if size <= BEGINNING_BYTES:
            return letter
        if size <= MAX_PAYLOAD_BYTES:
            with self._engine.connect() as connection:
                others = deadletters.size_bytes(connection)
            if others + size <= MAX_ALL_BYTES:
                return letter
            reason = f"the dead letters have {others:,} already (telemetry deadletter drop makes room)"
        else:
            reason = f"a letter may have {MAX_PAYLOAD_BYTES:,}"
        error = f"{letter.error}; of {size:,} bytes only the first {BEGINNING_BYTES:,} are kept, as {reason}"
        return Letter(error, letter.header, letter.payload[:BEGINNING_BYTES])

    def _enter(self, header: Header, letter: Letter) -> str | None:
        edge, batch_id = key = (header["edge"], header["batch_id"])
        source = wire.source_of(header)
        while True:
            with self._engine.connect() as connection:
                known = ledger.known(connection, [key]).get(key)
            if known is not None:
                return known.status
            (source_id,) = self._source_ids.resolve([(edge, source)])
            with self._engine.begin() as connection:
                # If another process enters the batch meanwhile, the ledger is asked again.
                if ledger.is_new(connection, ledger.dead_row(header, source_id, letter.error)):
                    deadletters.add(connection, letter, edge=edge, batch_id=batch_id)
                    return None


def _kept(stated: dict[str, Any]) -> dict[str, Any]:
    header = storable(stated)
    text = json.dumps(header)
    if len(text) > MAX_HEADER_CHARACTERS:
        return {letters.BEGINNING: text[:MAX_HEADER_CHARACTERS]}
    return header if header == stated else {letters.ALTERED: header}
