"""Messages as Celery puts them on a queue, made out of one that the product put there: only body and ids change."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any, Self

import msgpack
import redis

from benchmarks import data
from benchmarks.bench import Site
from benchmarks.synthetic.payloads import ROWS
from telemetry.readings.names import ROWS_HEADER

BODY, ID = "@body@", "@id@"


class Envelope:
    """The text around a body."""

    def __init__(self, raw: bytes) -> None:
        message = json.loads(raw)
        _, self._kwargs, self._embed = msgpack.unpackb(base64.b64decode(message["body"]))
        message["body"] = BODY
        message["headers"][ROWS_HEADER] = ROWS
        message["headers"]["id"] = message["properties"]["delivery_tag"] = ID
        self._before, self._after = json.dumps(message).split(BODY)

    @classmethod
    def captured(cls, site: Site, client: redis.Redis, file: data.File, **variables: str) -> Self:
        """From the first message that `telemetry ingest` makes of a file; the queue is empty again afterwards."""
        site.ingest(file, "captured", file.rows, "--no-wait", **variables)
        queue = site.settings.ingest_queue
        raw = client.lindex(queue, -1)
        client.delete(queue)
        assert isinstance(raw, bytes), "a file with rows makes a message"  # noqa: S101
        return cls(raw)

    def around(self, *arguments: Any) -> tuple[str, bytes]:
        """The id of a new message, and the message."""
        number = str(uuid.uuid4())
        body = base64.b64encode(msgpack.packb((arguments, self._kwargs, self._embed))).decode()
        return number, (self._before.replace(ID, number) + body + self._after.replace(ID, number)).encode()
