"""Sources that wait for a lock are left alone; the others are stored."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
import pytest
import sqlalchemy.exc

from telemetry.collector import blocked as module
from telemetry.collector.blocked import Blocked, is_lock
from telemetry.collector.messages import Message
from telemetry.readings import wire
from tests.batches import batch, key, readings

LOCKED = sqlalchemy.exc.OperationalError("statement", None, psycopg.errors.LockNotAvailable())


def message(name: str, batch_id: str) -> Message:
    source = wire.Source(name, f"/data/{name}.csv", "fingerprint-1", "dcgm", None)
    return wire.encode(batch(readings((key(), 0, 1.0)), batch_id, source=source))


FREE, HELD = [message("free", "b1"), message("free", "b2")], [message("held", "b3")]


class Database:
    """Somebody holds what these sources need."""

    def __init__(self, *held: str) -> None:
        self.held = held
        self.tries: list[str] = []

    def store(self, messages: Sequence[Message]) -> None:
        name = messages[0][0]["source"]["id"]
        self.tries += [name] * len(messages)
        if name in self.held:
            raise LOCKED


def test_the_others_are_stored_and_the_source_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    database, blocked = Database("held"), Blocked()
    assert not blocked.any_of([*FREE, *HELD])
    assert blocked.apart([*HELD, *FREE], database.store, 1e12)
    assert database.tries == ["held", "free", "free"]
    assert blocked.any_of(HELD)
    assert not blocked.any_of(FREE)
    assert blocked.apart([*HELD, *FREE], database.store, 1e12)
    assert database.tries[3:] == ["free", "free"]
    monkeypatch.setattr(module, "monotonic", lambda: 1e11)
    assert not blocked.any_of(HELD)


def test_where_nothing_can_be_stored_no_source_is_to_blame() -> None:
    blocked = Blocked()
    assert not blocked.apart([*HELD, *FREE], Database("held", "free").store, 1e12)
    assert not blocked.any_of([*HELD, *FREE])


def test_other_failures_are_none_of_this() -> None:
    assert is_lock(LOCKED)
    assert not is_lock(sqlalchemy.exc.OperationalError("statement", None, psycopg.errors.DeadlockDetected()))
    with pytest.raises(ZeroDivisionError):
        Blocked().apart(HELD, lambda _: 1 // 0, 1e12)
