"""What strangers may push to the ingest queue."""

from __future__ import annotations

import base64
import json
import pickle
import uuid
from typing import Any

import msgpack
import pyarrow as pa
import redis

from telemetry.readings import wire
from telemetry.readings.digests import digest
from telemetry.readings.names import PERSIST
from telemetry.settings import Settings
from tests.batches import batch, key, readings
from tests.strategies import LONG_NAMES

# json reads it, and repr does not write it.
DEPTH = 900
LONG = LONG_NAMES[-1]


def envelope(body: bytes, task: Any, content_type: str = "application/x-msgpack", queue: str = "telemetry.ingest") -> str:
    """A message as kombu puts it on a Redis list, around any body."""
    name = str(uuid.uuid4())
    headers = {"lang": "py", "task": task, "id": name, "root_id": name, "argsrepr": "-", "kwargsrepr": "-"}
    properties = {
        "correlation_id": name,
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": queue},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": name,
    }
    message = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "binary",
        "content-type": content_type,
        "headers": headers,
        "properties": properties,
    }
    return json.dumps(message)


def json_call(*args: Any) -> str:
    """A call of the ingest task in JSON, which holds what msgpack does not."""
    return envelope(json.dumps((args, {}, {})).encode(), PERSIST, "application/json")


def call(*args: Any, task: Any = PERSIST, queue: str = "telemetry.ingest") -> str:
    """A call of a task."""
    return envelope(msgpack.packb((list(args), {}, {})), task, queue=queue)


# What becomes no dead letter: a newer version waits for a newer collector, Celery turns the others away.
NO_LETTERS = ("newer version", "unknown task", "another task", "no task")


def poisons() -> dict[str, str]:
    """Messages that can never be stored, by what is wrong with them."""
    header, payload = wire.encode(batch(readings((key(gpu="GPU-poison"), 0, 1.0)), "poison"))
    bomb = pa.compress(bytes(wire.MAX_DECODED_BYTES + 1), "zstd", asbytes=True)
    noise, source = bytes(range(256)), header["source"]
    deep: list[Any] = []
    for _ in range(DEPTH):
        deep = [deep]
    return {
        "wrong digest": call({**header, "batch_id": "p1", "digest": "0" * 32}, payload),
        "old version": call({**header, "batch_id": "p2", "version": 0}, payload),
        "bomb": call({**header, "batch_id": "p3", "digest": digest(bomb), "size": 1000}, bomb),
        "noise": call({**header, "batch_id": "p4", "digest": digest(noise)}, noise),
        "newer version": call({**header, "batch_id": "p9", "version": wire.VERSION + 1}, payload),
        "oversized": call({**header, "batch_id": "p10"}, bytes(wire.MAX_PAYLOAD_BYTES + 1)),
        "no header": call(None, None),
        "no arguments": call(),
        "nul in a name": call({**header, "batch_id": "p\0", "edge": "a\0b"}, payload),
        "surrogate in a name": json_call({**header, "batch_id": "p5", "edge": "\ud800"}, "text"),
        "surrogate in a key": json_call({**header, "batch_id": "p9", "\ud800": 0}, "text"),
        "surrogate in a key of a part": json_call({**header, "batch_id": "p10", "rows": {"\ud800": 0}}, "text"),
        "surrogate aside": json_call({**header, "batch_id": "p6", "note": "\ud800"}, "\ud800\0"),
        "no number aside": call({**header, "batch_id": "p7", "note": float("nan")}, b""),
        "deep": json_call({**header, "batch_id": deep, "edge": deep, "note": deep}, deep),
        "an edge too long for an index": call({**header, "batch_id": "p8", "edge": LONG}, payload),
        "a fingerprint too long for an index": call({**header, "source": source | {"fingerprint": LONG}}, payload),
        "a number": "1",
        "no properties": json.dumps({**json.loads(call()), "properties": None}),
        "unknown task": call(1, task="os.system"),
        "another task": call(task="celery.backend_cleanup"),
        "no task": call(1, task=None),
        "pickle": envelope(pickle.dumps(([], {}, {})), PERSIST, "application/x-python-serialize"),
        "torn body": envelope(msgpack.packb(([header, payload], {}, {}))[:-40], PERSIST),
    }


def push_all(client: redis.Redis, settings: Settings) -> None:
    """Push every poison to the ingest queue."""
    for message in poisons().values():
        client.lpush(settings.ingest_queue, message)
