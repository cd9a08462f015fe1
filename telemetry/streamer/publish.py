"""Puts batches on the ingest queue. An error leaves it unknown which of them the broker has: they are sent again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from celery import Celery
from kombu.exceptions import KombuError, OperationalError

from telemetry.celery import PERSIST, ROWS_HEADER
from telemetry.monitoring import traces
from telemetry.settings import Settings
from telemetry.streamer.stream import Publish

PIPELINED = 64


def publisher(app: Celery, settings: Settings) -> Publish:
    """A function that publishes batches in one go, pipelined. Raises OperationalError."""

    def publish(messages: Iterable[tuple[dict[str, Any], bytes]]) -> None:
        try:
            with app.producer_or_acquire() as producer, producer.batch(PIPELINED):
                for message in messages:
                    header = message[0]
                    # The queue by its name goes through the anonymous exchange: a named one whose binding the broker has
                    # lost would swallow the message. A dash for the arguments' texts keeps the payload from going twice.
                    about = {"edge": header["edge"], "batch": header["batch_id"], "rows": header["rows"]["read"]}
                    with traces.span("publish batch", "producer", **about) as traced:
                        app.send_task(
                            PERSIST,
                            message,
                            producer=producer,
                            # The same name each time it is published: a collector counts by it what the batch has cost.
                            task_id=header["batch_id"],
                            queue=settings.ingest_queue,
                            headers={ROWS_HEADER: header["rows"]["read"], **traced},
                            argsrepr="-",
                            kwargsrepr="-",
                        )
        except KombuError as error:
            raise OperationalError(str(error)) from error

    return publish
