"""The Celery application, and the wire dictionary: queues, tasks, messages, schedules.

| queue | carries | from | to |
| --- | --- | --- | --- |
| `{p}.ingest` | `telemetry.collector.persist(header, payload)`: one batch; header `rows`: its rows | edges | collectors |
| `{p}.tick.{edge}` | `telemetry.streamer.tick()`: look for new readings | beat of the edge | its streamers |

Messages are msgpack, never pickle.
`header` and `payload` of a batch, and their version, are `telemetry.readings.wire`.
Redis keys outside Celery are `telemetry.keys`.

The role comes from `TELEMETRY_ROLE`. A central worker serves the ingest queue and knows the one task on it: who may push
to that queue may name any task the process knows. An edge worker serves the tick queue of its own edge. Nothing is
connected here; a setting that cannot be used ends the process with one line.
"""

from __future__ import annotations

import os
import sys

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

from telemetry.broker import CONNECT_TIMEOUT_S, SOCKET_TIMEOUT_S, tls_options
from telemetry.keys import Keys
from telemetry.monitoring import logs
from telemetry.settings import Settings, SettingsError, misspelt

PERSIST = "telemetry.collector.persist"
TICK = "telemetry.streamer.tick"
ROWS_HEADER = "rows"


def make_app(settings: Settings) -> Celery:
    """The application of one process. Facts behind the options: docs/MESSAGE_QUEUE_DESIGN.md."""
    edge = settings.role == "edge"
    # The one place where kombu looks for the transport of a URL, `redis+socket://` included.
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "telemetry.transport:Transport"))
    app = Celery("telemetry", broker=settings.broker_url, set_as_current=False)
    app.conf.update(
        include=["telemetry.streamer.tasks" if edge else "telemetry.collector.tasks"],
        task_default_queue=settings.tick_queue if edge else settings.ingest_queue,
        task_default_exchange_type="direct",
        task_routes={PERSIST: {"queue": settings.ingest_queue}, TICK: {"queue": settings.tick_queue}},
        task_serializer="msgpack",
        accept_content=["json", "msgpack"],
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_failure_or_timeout=False,
        task_soft_time_limit=45,
        task_time_limit=60,
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0.2, "interval_step": 0},
        # A collector fetches as long as its buffer has room.
        worker_prefetch_multiplier=1 if edge else 0,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_soft_shutdown_timeout=30,
        # A picture of each tick in Flower would cost an edge more than the tick.
        worker_send_task_events=not edge,
        worker_hijack_root_logger=True,
        # An edge's task is one tick: solo is one process less to keep in memory on a GPU node.
        worker_pool="solo" if edge else "prefork",
        broker_use_ssl=tls_options(settings),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        broker_transport_options={
            **Keys(settings.key_prefix).unacked(f"edge.{settings.edge}" if edge else "central"),
            "visibility_timeout": settings.visibility_timeout_s,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "socket_timeout": SOCKET_TIMEOUT_S,
            "socket_connect_timeout": CONNECT_TIMEOUT_S,
            "socket_keepalive": True,
            "health_check_interval": 5,
            "client_name": f"telemetry-{settings.role}",
        },
        beat_scheduler="telemetry.streamer.schedule:TickScheduler" if edge else "telemetry.monitoring.beat:Scheduler",
        beat_max_loop_interval=5,
        beat_schedule={
            "tick": {
                "task": TICK,
                "schedule": settings.stream_interval_s,
            }
        }
        if edge
        else {},
    )
    app.telemetry_settings = settings  # type: ignore[attr-defined]
    app.steps["worker"].update(["telemetry.monitoring.watchdog:Watchdog", "telemetry.monitoring.worker:Port"])
    app.steps["consumer"].add("telemetry.monitoring.worker:Pulse")
    logs.install(settings)
    return app


def _load() -> Settings:
    for name, close in misspelt(os.environ):
        sys.stderr.write(f"telemetry: {name} is no setting; is {close} meant?\n")
    try:
        return Settings.load(os.environ)
    except SettingsError as error:
        raise SystemExit(f"telemetry: {error}") from None


settings = _load()
app = make_app(settings)
