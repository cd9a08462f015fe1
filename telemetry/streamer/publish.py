"""Puts batches on the ingest queue. After an error nobody knows which of them the broker has, so they are sent again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from celery import Celery
from kombu.exceptions import KombuError, OperationalError

from telemetry.monitoring import traces
from telemetry.readings.names import PERSIST, ROWS_HEADER
from telemetry.settings import Settings
from telemetry.streamer.outbox import Publish
from telemetry.trust.signatures import Signer

PIPELINED = 64


def publisher(app: Celery, settings: Settings) -> Publish:
    """A function that publishes batches in one go, pipelined. Raises OperationalError."""
    # Of what `send_task` puts beside a body no collector reads more, and a small message would be larger by a good part.
    task = {"lang": "py", "task": PERSIST}
    signer = Signer.of(settings)

    def publish(messages: Iterable[tuple[dict[str, Any], bytes]]) -> None:
        try:
            with app.producer_or_acquire() as producer, producer.batch(PIPELINED):
                for unsigned, payload in messages:
                    header = signer.signed(unsigned)
                    # The same name each time it is published: a collector counts by it what the batch has cost.
                    name = header["batch_id"]
                    about = {"edge": header["edge"], "batch": name, "rows": header["rows"]["read"]}
                    with traces.span("publish batch", "producer", **about) as traced:
                        # The queue by its name goes through the anonymous exchange: a named one whose binding the broker
                        # has lost would swallow the message.
                        producer.publish(
                            ((header, payload), {}, {}),
                            exchange="",
                            routing_key=settings.ingest_queue,
                            serializer=app.conf.task_serializer,
                            headers=task | {"id": name, ROWS_HEADER: about["rows"], **traced},
                            retry=True,
                            retry_policy=app.conf.task_publish_retry_policy,
                        )
        except KombuError as error:
            raise OperationalError(str(error)) from error

    return publish
