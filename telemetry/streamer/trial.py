"""A trial: one marked batch of an edge, which goes the way of all batches: queue, signature, transaction, acknowledgement.

Its one reading has no value, so nothing of it reaches the fleet: no sample, GPU, metric or series is made. What the ledger has
of it is removed by `telemetry.store.trials`.
"""

from __future__ import annotations

import time
from secrets import token_hex
from typing import NamedTuple

import numpy as np
import redis

from telemetry import broker
from telemetry.progress.acks import statement
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.readings.names import TRIAL, TRIAL_PATH
from telemetry.readings.rows import Readings
from telemetry.settings import Settings
from telemetry.streamer.outbox import Publish
from telemetry.trust.signatures import Signer

LOOK_EVERY_S = 0.01


class Trial(NamedTuple):
    """How a trial ended: `committed`, `dead`, or `no answer` in time; and how long that took."""

    edge: str
    batch_id: str
    status: str
    round_trip_s: float


def batch(edge: str, now_us: int) -> wire.Batch:
    """A marked batch. Its id is its own: one that was sent before does not count for it."""
    none = np.empty(0, np.int64)
    readings = Readings([], none, none, np.empty(0, np.float64), blank=1, quarantined=[], records=1)
    source = wire.Source(TRIAL, TRIAL_PATH, TRIAL, TRIAL, None)
    return wire.Batch(edge, f"{TRIAL}-{token_hex(16)}", source, 0, 1, 1, now_us, now_us, readings)


def run(settings: Settings, client: redis.Redis, publish: Publish, timeout_s: float) -> Trial:
    """Send a marked batch, and wait for its acknowledgement, which comes after the commit. Raises what publishing raises."""
    marked, signer = batch(settings.edge, broker.now_us(client)), Signer.of(settings)
    key = Keys(settings.key_prefix).acks(settings.edge, TRIAL)
    begun_s = time.monotonic()
    publish([wire.encode(marked)])
    while True:
        text: bytes | None = client.hget(key, marked.batch_id)  # type: ignore[assignment]
        took_s = time.monotonic() - begun_s
        answer = signer.opened(TRIAL, {marked.batch_id: text.decode(errors="replace")}) if text else {}
        if answer:
            client.hdel(key, marked.batch_id)
            status = "dead" if statement(answer[marked.batch_id]).status == "dead" else "committed"
            return Trial(settings.edge, marked.batch_id, status, round(took_s, 3))
        if took_s > timeout_s:
            return Trial(settings.edge, marked.batch_id, "no answer", round(took_s, 3))
        time.sleep(LOOK_EVERY_S)
