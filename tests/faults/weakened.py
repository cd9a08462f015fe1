"""The system without what makes it safe: a Celery app that trusts the broker and stores whatever comes.

The streamer believes a batch to be stored once it is published and never asks what the ledger holds, the collector acknowledges
before it stores, and neither the ledger nor a key keeps a row from being stored again. Only `test_weakened` uses it: to show
that the faults would be seen.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from celery import Celery

from telemetry import broker
from telemetry.celery import process_app, process_settings
from telemetry.progress.acks import Ack, Acks
from telemetry.progress.keys import Keys
from telemetry.settings import Settings

# Here a kill finds a batch that is acknowledged and not stored; and batches queue up.
DELAY_S = 0.2

app, settings = process_app(), process_settings()
app.conf.task_acks_late = False


def weaken_edge() -> None:
    """Take each batch that is published as stored, and ask for no proof of it."""
    from telemetry.streamer import publish, tasks  # noqa: PLC0415
    from telemetry.streamer.outbox import Publish  # noqa: PLC0415
    from telemetry.streamer.proof import Proof  # noqa: PLC0415

    acks = Acks(broker.connect(settings), Keys(settings.key_prefix), settings.ack_ttl_s)
    make = publish.publisher

    def publisher(app: Celery, settings: Settings) -> Publish:
        send = make(app, settings)

        def trusting(messages: Iterable[tuple[dict[str, Any], bytes]]) -> None:
            sent = list(messages)
            send(sent)
            acks.send(Ack(header["edge"], header["source"]["id"], header["batch_id"], "stored") for header, _ in sent)

        return trusting

    vars(tasks)["publisher"] = publisher
    Proof.meet = lambda *_: False  # type: ignore[method-assign]
    Proof.due = lambda *_: None  # type: ignore[method-assign]


def weaken_centre() -> None:
    """Acknowledge first, then store without a look at the ledger."""
    from telemetry.collector import persist, tasks  # noqa: PLC0415
    from telemetry.collector.messages import checked  # noqa: PLC0415
    from telemetry.collector.outcome import Outcome  # noqa: PLC0415
    from telemetry.store.write import ledger  # noqa: PLC0415

    careful = persist.Collector.persist_all

    def careless(self: persist.Collector, messages: Any) -> Any:
        now_s = time.monotonic()
        self._settlements.acknowledge([(checked(header), Outcome("probe", now_s)) for header, _ in messages])
        time.sleep(DELAY_S)
        return careful(self, messages)

    # What fails is not tried again.
    vars(tasks)["PAUSES_S"] = ()
    ledger.known = lambda *_: {}
    persist.Collector.persist_all = careless  # type: ignore[method-assign]


if os.environ.get("TELEMETRY_ROLE") == "edge":
    weaken_edge()
else:
    weaken_centre()
