"""Probes: one question at a time, an answer in time whatever hangs."""

from __future__ import annotations

import threading

import pytest

from telemetry.api.core import deadlines
from telemetry.api.core.connections import Connections
from telemetry.api.core.probes import Probe, Probes, State
from telemetry.settings import Settings
from tests.waiting import eventually


def test_a_server_that_hangs_is_not_asked_again_until_it_has_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "PROBE_S", 0.05)
    asked, released = [], threading.Event()

    def ask() -> State:
        asked.append(1)
        released.wait(20)
        return {"status": "ok"}

    probe = Probe(ask)
    assert [probe.state() for _ in range(3)] == [{"status": "not answering"}] * 3
    assert len(asked) == 1
    released.set()
    eventually(lambda: probe.state() == {"status": "ok"}, 10)


def test_an_error_is_raised_where_the_answer_is_awaited() -> None:
    def ask() -> State:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Probe(ask).state()


def test_both_servers_are_asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "PROBE_S", 0.2)
    connections = Connections(Settings.load({}))
    probes = Probes(connections)
    probes.database = Probe(lambda: {"status": "ok", "revision": "1"})
    probes.broker = Probe(lambda: {"status": "unreachable"})
    assert probes.states() == {
        "status": "unavailable",
        "database": {"status": "ok", "revision": "1"},
        "broker": {"status": "unreachable"},
    }
