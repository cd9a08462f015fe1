"""Whether servers can be reached: of several, one that answers is enough."""

from __future__ import annotations

import socket

from telemetry.doctor import reach
from telemetry.doctor.address import Address
from tests.ports import free_port


def test_one_of_several_that_answers_is_enough() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = Address("TELEMETRY_DATABASE_URL", "127.0.0.1", server.getsockname()[1])
        away = Address("TELEMETRY_DATABASE_URL", "127.0.0.1", free_port())
        assert reach.check([there]).verdict == "ok"
        judgement = reach.check([away, there])
        assert judgement.verdict == "warning"
        assert f"{there.port} answers in" in judgement.says
        assert f"{away.port} refuses connections" in judgement.says
        assert reach.check([away, away]).verdict == "failed"
