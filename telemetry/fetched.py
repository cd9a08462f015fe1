"""A message as it was fetched from a queue, whose bytes may be a stranger's.

What cannot be a message, or is too long to be decoded, becomes a call of a task that keeps it as a dead letter.
"""

from __future__ import annotations

import base64
import logging
import uuid
from collections.abc import Mapping
from typing import Any

from kombu.transport import virtual
from kombu.utils.json import dumps

log = logging.getLogger(__name__)

# The header that counts how often a message was delivered and given back.
DELIVERIES = "deliveries"
# Of a message that is too long to be decoded.
KEPT_BYTES = 1 << 16


class Message(virtual.Message):
    """A message. Bytes that are not a valid message are wrapped in one, for the collector to keep as a dead letter.

    It goes back to the queue that it came from, whatever its sender says: kombu would push it to a queue that the sender names.
    """

    def __init__(self, payload: Any, channel: Any = None, **kwargs: Any) -> None:
        try:
            super().__init__(payload, channel=channel, **kwargs)
            self._check()
            self._stay(channel)
        except Exception:  # noqa: BLE001 - bytes of a stranger
            queue, raw = channel.fetched
            log.error("bytes on the queue %s are not a valid message: %r", queue, raw[:200])  # noqa: TRY400
            super().__init__(wrapped(raw, queue, channel.stray_task), channel=channel, **kwargs)

    def _check(self) -> None:
        """Raise an error for anything that Celery or our consumer could not handle."""
        headers: Any = self.headers
        place: Any = self.delivery_info
        texts = (self.delivery_tag, self.content_type, self.content_encoding, place["exchange"], place["routing_key"])
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("delivery tag, content type, encoding, exchange and routing key must be text")
        if not all(isinstance(headers.get(name), str | None) for name in ("task", "id")):
            raise TypeError("task and id must be text or absent")

    def _stay(self, channel: Any) -> None:
        place: Any = self.delivery_info
        place |= {"exchange": "", "routing_key": channel.fetched[0]}
        # By another one it would go to a list beside the queue, which nobody fetches from.
        properties: Any = self.properties
        properties["priority"] = 0


def deliveries(headers: Mapping[str, Any]) -> int:
    """How often a message with these headers was delivered before. One that a worker of before gave back only says that."""
    count = headers.get(DELIVERIES)
    return max(count if isinstance(count, int) else 0, 1 if headers.get("redelivered") else 0)


def beginning(raw: bytes, queue: str, task: str | None) -> dict[str, Any]:
    """A call of `task` for a message that is too long to be decoded: its length in place of a header, and its beginning."""
    log.error("a message of %d bytes on the queue %s is too long", len(raw), queue)
    call = [[{"oversized_bytes": len(raw)}, bytes(raw[:KEPT_BYTES])], {}, {}]
    return wrapped(dumps(call).encode(), queue, task, content_type="application/json")


def wrapped(raw: bytes, queue: str, task: str | None, content_type: str = "application/octet-stream") -> dict[str, Any]:
    """A call of `task`, in the form that kombu pushes to `queue`, with `raw` as its body."""
    name = str(uuid.uuid4())
    return {
        "body": base64.b64encode(raw).decode(),
        "content-type": content_type,
        "content-encoding": "binary" if content_type == "application/octet-stream" else "utf-8",
        "headers": {"task": task, "id": name},
        "properties": {
            "delivery_tag": name,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "body_encoding": "base64",
        },
    }
