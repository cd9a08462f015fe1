"""Sources whose batches wait for a lock that somebody holds for long, such as a person who left a transaction open.

Each try at such a batch keeps a process waiting, and with it all batches behind. So the others are stored first, the source
is left alone for a while, and its messages wait behind all others. Where nothing at all can be stored, this is not the case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic

import psycopg
import sqlalchemy.exc

from telemetry.collector.blame import is_transient
from telemetry.collector.messages import Message, checked

# For so long nothing of a source is tried again. Each try waits as long as locks are waited for (TELEMETRY_LOCK_TIMEOUT_S).
LEFT_ALONE_S = 30.0

WAITS = "somebody holds a lock on what it needs, and on nothing that others need"

Source = tuple[str, str] | None


class BlockedError(Exception):
    """Messages wait for a lock that others do not need."""


@dataclass(slots=True)
class Blocked:
    """The sources that one process leaves alone, and until when."""

    _until_s: dict[Source, float] = field(default_factory=dict)

    def holds(self, source: Source) -> bool:
        """Whether a source is left alone."""
        return self._until_s.get(source, 0.0) > monotonic()

    def apart(self, messages: Sequence[Message], store: Callable[[Sequence[Message]], object], until_s: float) -> bool:
        """Store the messages of each source by themselves, and leave those alone that wait for a lock. Says if any was stored.

        Those that are left alone already are not tried, and no new one is after this instant.
        """
        stored, waiting = False, list[Source]()
        for source, own in by_source(messages).items():
            if self.holds(source) or monotonic() > until_s:
                continue
            try:
                store(own)
            except Exception as error:
                if not is_transient(error):
                    raise
                if is_lock(error):
                    waiting.append(source)
            else:
                stored = True
        if stored:
            self._until_s = {each: at for each, at in self._until_s.items() if at > monotonic()}
            self._until_s |= dict.fromkeys(waiting, monotonic() + LEFT_ALONE_S)
        return stored

    def leave(self, message: Message) -> None:
        """Leave the source of a message alone."""
        self._until_s[source_of(message)] = monotonic() + LEFT_ALONE_S

    def any_of(self, messages: Sequence[Message]) -> bool:
        """Whether a source of some messages is left alone."""
        return any(self.holds(source_of(message)) for message in messages) if self._until_s else False


def is_lock(error: Exception) -> bool:
    """Whether somebody else's lock caused an error."""
    cause = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error
    return isinstance(cause, psycopg.errors.LockNotAvailable)


def source_of(message: Message) -> Source:
    """The edge and the source that a message names; None if it names none."""
    header = checked(message[0])
    return (header["edge"], header["source"]["id"]) if header else None


def by_source(messages: Sequence[Message]) -> Mapping[Source, list[Message]]:
    """Messages by their sources, in order."""
    groups: dict[Source, list[Message]] = {}
    for message in messages:
        groups.setdefault(source_of(message), []).append(message)
    return groups
