"""Pings say whether the broker answers, each of them at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from telemetry.monitoring.port import connection
from telemetry.monitoring.port.connection import BrokerPing
from telemetry.settings import Settings
from tests.faults.proxy import Proxy
from tests.waiting import eventually


def test_a_broker_is_reachable_while_it_answers(settings: Settings, way: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "INTERVAL_S", 0.05)
    answers: list[bool] = []
    ping = BrokerPing(replace(settings, broker_url=f"redis://127.0.0.1:{way.port}/0"), "collector", answers.append)
    assert not ping.reachable
    ping.start()
    eventually(lambda: ping.reachable, 10)
    way.refuse()
    eventually(lambda: not ping.reachable, 10)
    way.heal()
    eventually(lambda: ping.reachable, 10)
    ping.stop()
    assert (answers[0], False in answers) == (True, True)
    (metric,) = ping.collect()
    assert metric.name == "message_queue_connection_status"
