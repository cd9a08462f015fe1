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
    first, *others = [probe.state() for _ in range(3)]
    assert (first["status"], others) == ("not answering", [first, first])
    assert len(asked) == 1
    released.set()
    eventually(lambda: probe.state() == {"status": "ok"}, 10)


def test_an_error_is_raised_where_the_answer_is_awaited() -> None:
    def ask() -> State:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Probe(ask).state()


def test_a_query_that_waits_learns_that_the_server_answers_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, wait_s in (("ASK_AGAIN_S", 0.0), ("FROZEN_S", 0.05), ("CONNECT_S", 0.2)):
        monkeypatch.setattr(deadlines, name, wait_s)
    states, released = iter(["ok", "not answering", "ok"]), threading.Event()
    released.set()

    def ask() -> State:
        released.wait(20)
        return {"status": next(states)}

    probe = Probe(ask)
    assert not probe.is_silent()
    probe.begin().result(20)
    released.clear()
    # It begins a question, which gets no answer.
    eventually(probe.is_silent, 10, every_s=0.01)
    released.set()
    # That it got none is believed for a while, and until the next one is answered.
    eventually(lambda: probe.begin().result(20) == {"status": "ok"}, 10)
    assert not probe.is_silent()


def test_both_servers_are_asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "PROBE_S", 0.2)
    connections = Connections(Settings.load({}))
    probes = Probes(connections)
    probes.database = Probe(lambda: {"status": "ok", "revision": "1"})
    probes.broker = Probe(lambda: {"status": "unreachable"})
    states = probes.states()
    assert states["broker"].pop("since")
    assert states == {
        "status": "unavailable",
        "database": {"status": "ok", "revision": "1"},
        "broker": {"status": "unreachable"},
    }


def test_since_when_it_fails_is_kept_until_it_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "PROBE_S", 5)
    states = iter(["unreachable", "not migrated", "ok", "unreachable"])
    probe = Probe(lambda: {"status": next(states)}, {"unreachable": "start it"})
    first, second, third = probe.state(), probe.state(), probe.state()
    assert first == {"status": "unreachable", "since": first["since"], "mend": "start it"}
    assert second == {"status": "not migrated", "since": first["since"]}
    assert third == {"status": "ok"}
    assert probe.state()["since"] >= first["since"]
