"""The policy of deadlines: which of two limits must be reached first."""

from __future__ import annotations

from telemetry.api.core import deadlines


def test_whoever_can_explain_a_delay_best_is_the_first_to_end_it() -> None:
    # Postgres cancels a query before the connection gives up, and the session outlives the stream that it serves.
    assert deadlines.LOCK_S < deadlines.QUERY_S < deadlines.SILENCE_S
    # A query on a frozen server ends within 5 s, and so does one that needs a connection first.
    assert max(deadlines.CONNECT_S, deadlines.DOUBT_S + deadlines.ASK_AGAIN_S + deadlines.FROZEN_S) < 5
    session = deadlines.export_session()
    assert session["idle_in_transaction_session_timeout"] > deadlines.STALL_S
    assert session["statement_timeout"] > deadlines.EXPORT_S
    assert deadlines.BROKER_S < deadlines.PROBE_S
