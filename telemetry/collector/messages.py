"""A message of the ingest queue, and what is left of it once it has been read: a batch, or the reason why there is none.

What a message must look like is `telemetry.readings.wire`'s. Here its header is checked once, for all that follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import Any

from telemetry.collector import blame
from telemetry.progress.history import QUESTION
from telemetry.readings import wire

# Header and payload as a stranger may have sent them.
Message = tuple[Any, Any]
Header = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Readable:
    """A message with its checked header and its batch; `read_at_s` is this process's monotonic clock."""

    message: Message
    header: Header
    batch: wire.Batch
    read_at_s: float

    @property
    def is_probe(self) -> bool:
        """Whether the batch has no bytes: it is acknowledged and not stored."""
        return self.batch.start == self.batch.end

    @property
    def is_question(self) -> bool:
        """Whether it is a probe that asks what the ledger holds of its source."""
        return self.is_probe and self.batch.batch_id.startswith(QUESTION)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message without a batch, and why. `header` is None if it does not name one that could be acknowledged."""

    message: Message
    header: Header | None
    error: Exception


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that is dropped, and why: it is neither kept nor acknowledged.

    It is not believed, so that nothing in it counts; or it is beyond what its edge may send, and `edge` names that.
    """

    reason: str
    edge: str | None = None


def read(message: Message) -> Readable | Unreadable:
    """Read a message, whatever it holds. Raises TRANSIENT, such as MemoryError."""
    read_at_s = monotonic()
    try:
        batch = wire.decode(*message)
    except Exception as error:
        if blame.is_transient(error):
            raise
        return Unreadable(message, checked(message[0]), error)
    # The header of an older version lacks what the current one has.
    return Readable(message, wire.current(message[0]), batch, read_at_s)


def checked(header: Any) -> Header | None:
    """The header, or None if it does not name a batch that could be entered in the ledger and acknowledged."""
    try:
        return wire.check_header(header)
    except (wire.WireError, wire.NewerVersionError):
        return None
