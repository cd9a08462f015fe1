"""Asks the collectors whether they live, as Celery's `inspect ping` does.

It is said by kombu alone: to import Celery and to make its application takes twice as much, and a command is short.
"""

from __future__ import annotations

from typing import Any

from kombu import Connection
from kombu.pidbox import Mailbox

from telemetry.broker import CONNECT_TIMEOUT_S, SOCKET_TIMEOUT_S, kombu_options, kombu_url, tls_options
from telemetry.settings import Settings
from telemetry.transport import Transport

# Celery's control_exchange and its serializer of answers, which no setting of ours changes.
EXCHANGE, ACCEPTED = "celery", ("json", "msgpack")


def living(settings: Settings, timeout_s: float) -> list[str]:
    """The names of the workers that answer within that time. Raises OSError and redis.RedisError."""
    timeouts = {"socket_timeout": SOCKET_TIMEOUT_S, "socket_connect_timeout": CONNECT_TIMEOUT_S}
    options = {**timeouts, "client_name": "telemetry", **kombu_options(settings)}
    tls = tls_options(settings) or False
    connection = Connection(kombu_url(settings), transport=Transport, transport_options=options, ssl=tls)
    with connection:
        # kombu's stubs take what a mailbox makes for a worker's end of it.
        mailbox: Any = Mailbox(EXCHANGE, type="fanout", accept=list(ACCEPTED), serializer="msgpack")
        answers = mailbox(connection).multi_call("ping", timeout=timeout_s)
    return [name for answer in answers for name in answer]
