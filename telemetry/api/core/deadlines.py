"""How long the API waits, in seconds. The whole policy is here; each wait happens in the module that does the waiting.

Postgres enforces the limits on a query and a lock. A frozen server enforces nothing, so the connection itself gives up when
no byte has come for SILENCE_S; that is longer than QUERY_S, so that Postgres answers first where it can. Whether a server is
frozen is known sooner: a query that waits for DOUBT_S has the server asked by a connection of its own, and where that gets no
answer either, the query ends within 5 s.
An export must begin within QUERY_S too. After its first row each side may pause for STALL_S.
"""

from __future__ import annotations

# A query, until its result or its first row.
QUERY_S = 15
# A lock on a table.
LOCK_S = 3
# An answer of the broker.
BROKER_S = 2
# The broker, asked once, for what is no reason to keep a reader waiting: counts of requests, signs of life of edges.
HASTE_S = 0.25
# A collector that stores a dead letter again; who asked is told then that it goes on.
RETRY_S = 8.0
# A database connection on which nothing arrives.
SILENCE_S = 17.0
# A query without an answer, until the server is asked whether it answers anyone.
DOUBT_S = 1.0
# That question, until it is asked again.
ASK_AGAIN_S = 0.5
# That question, until the server counts as frozen.
FROZEN_S = 2.5
# A new connection to the database.
CONNECT_S = 3
# A server that may be frozen, asked to cancel a query.
CANCEL_S = 1.0
# A probe of the database or the broker: /health answers within this time, whatever hangs.
PROBE_S = 3
# The head of a request, from its first byte, or from the connection on.
HEAD_S = 10.0
# An upload, until all of it has come.
UPLOAD_S = 1800
# A reader who takes nothing of a stream. It will not take the rest either.
STALL_S = 60
# The longest export.
EXPORT_S = 1800
# The longest live stream. A browser's EventSource connects again by itself.
LIVE_S = 3600


def export_session() -> dict[str, int]:
    """The limits of the Postgres session of an export: a little longer than those of its stream, which should end first."""
    return {"idle_in_transaction_session_timeout": STALL_S + 10, "statement_timeout": EXPORT_S + STALL_S}
