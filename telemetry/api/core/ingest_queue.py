"""Puts a message on the ingest queue, as streamers do; a collector takes it from there. Kombu says it, without Celery's worker.

The message is Celery's (protocol 2), its body `telemetry.readings.wire`'s.
"""

from __future__ import annotations

from typing import Any

import redis
from celery import Celery
from kombu import Connection, Producer
from kombu.exceptions import KombuError

from telemetry.api.core import deadlines
from telemetry.broker import kombu_options, kombu_url, tls_options
from telemetry.readings.names import PERSIST, ROWS_HEADER
from telemetry.settings import Settings
from telemetry.transport import Transport


class QueueError(Exception):
    """The broker has not taken a message, or did not say that it has."""


def put(settings: Settings, header: dict[str, Any], payload: bytes) -> None:
    """Put a batch on the queue. Raises QueueError unless the broker has said that it has it."""
    name = header["batch_id"]
    task = Celery("telemetry", set_as_current=False).amqp.as_task_v2(name, PERSIST, argsrepr="-", kwargsrepr="-")
    _, kwargs, embed = task.body
    timeouts = {"socket_timeout": deadlines.BROKER_S, "socket_connect_timeout": deadlines.BROKER_S}
    options = {**timeouts, "client_name": "telemetry-api", **kombu_options(settings)}
    tls = tls_options(settings) or False
    try:
        with Connection(kombu_url(settings), transport=Transport, transport_options=options, ssl=tls) as connection:
            # The anonymous exchange leads to the queue of the name, whatever the broker knows of bindings.
            Producer(connection.channel()).publish(
                ((header, payload), kwargs, embed),
                exchange="",
                routing_key=settings.ingest_queue,
                serializer="msgpack",
                headers=task.headers | {ROWS_HEADER: header["rows"]["read"]},
                correlation_id=name,
            )
    except (KombuError, redis.RedisError, OSError) as error:
        raise QueueError(str(error)) from error
