"""The Celery application: queues, tasks, serialization, limits.

Two tasks go over the broker. Beat sends `telemetry.streamer.tick()` to the streamers of its edge. Streamers send
`telemetry.collector.persist(header, payload)`, one batch each, to the collectors. Messages are msgpack, never pickle. What a
message holds is `telemetry.readings.wire`'s, the names of tasks and queues are `telemetry.readings.names`'s, and every key and
queue is declared in `telemetry.progress.keys`.

The role comes from `TELEMETRY_ROLE`. A central worker serves the ingest queue and knows the one task on it: who may push
to that queue may name any task the process knows. An edge worker serves the tick queue of its own edge. Nothing is
connected here, and importing this module changes nothing: `process_app` reads the settings and sets the process up. Celery's
commands get it as `telemetry.celery:app`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

from telemetry import algebra, descriptors, garbage
from telemetry.broker import CONNECT_TIMEOUT_S, SOCKET_TIMEOUT_S, kombu_options, kombu_url, tls_options
from telemetry.monitoring import flower_page, logs, outages, traces
from telemetry.progress.keys import Keys
from telemetry.readings.names import MAX_MESSAGE_BYTES, PERSIST, TICK
from telemetry.settings import Settings, SettingsError, tell_misspelt


@cache
def process_settings() -> Settings:
    """The settings of this process. A setting that cannot be used ends the process with one line."""
    tell_misspelt()
    try:
        settings = Settings.load()
    except SettingsError as error:
        raise SystemExit(f"telemetry: {error}") from None
    if settings.role == "central" and (reason := _refusal(settings)):
        raise SystemExit(f"telemetry: {reason}")
    return settings


def _refusal(settings: Settings) -> str:
    """Why a process of the centre does not start with these settings; empty if it does."""
    if settings.broker_urls and not settings.broker_name:
        return (
            f"TELEMETRY_BROKER_URLS names {', '.join(settings.brokers)}; say with TELEMETRY_BROKER_NAME which of them this "
            "process serves, and start one for each"
        )
    if settings.database_pooled:
        return "TELEMETRY_DATABASE_POOLED is for the API alone: let TELEMETRY_DATABASE_URL here lead to Postgres itself"
    return ""


@cache
def process_app() -> Celery:
    """The application that Celery's commands run in this process."""
    algebra.use_one_thread()
    descriptors.raise_limit()
    return make_app(process_settings())


def make_app(settings: Settings) -> Celery:
    """The application of one process. Facts behind the options: docs/MESSAGE_QUEUE_DESIGN.md."""
    edge = settings.role == "edge"
    # The one place where kombu looks for the transport of a URL, `redis+socket://` included.
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss", "sentinel"), "telemetry.transport:Transport"))
    app = Celery("telemetry", broker=kombu_url(settings), set_as_current=False)
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
        # Nobody tells an edge what to do; a collector answers questions only (`Deaf`).
        worker_enable_remote_control=not edge,
        worker_hijack_root_logger=True,
        # An edge's task is one tick: solo is one process less to keep in memory on a GPU node.
        worker_pool="solo" if edge else "prefork",
        broker_use_ssl=tls_options(settings),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        broker_transport_options={
            **Keys(settings.key_prefix).unacked_options(f"edge.{settings.edge}" if edge else "central"),
            # Bytes on the queue that are not a valid message end as a dead letter; at an edge they are dropped.
            "stray_task": None if edge else PERSIST,
            "max_message_bytes": MAX_MESSAGE_BYTES,
            "visibility_timeout": settings.visibility_timeout_s,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "socket_timeout": SOCKET_TIMEOUT_S,
            "socket_connect_timeout": CONNECT_TIMEOUT_S,
            "socket_keepalive": True,
            "health_check_interval": 5,
            "client_name": f"telemetry-{settings.role}",
            **kombu_options(settings),
        },
        beat_scheduler="telemetry.streamer.schedule:TickScheduler" if edge else "telemetry.collector.schedule:CentralScheduler",
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
    app.steps["worker"].update(
        [
            "telemetry.monitoring.port.watchdog:Watchdog",
            "telemetry.monitoring.port.worker:Port",
            "telemetry.monitoring.port.aborted:Aborted",
            "telemetry.trust.control:Deaf",
        ]
    )
    if not edge:
        app.steps["worker"].add("telemetry.monitoring.port.summary:Summary")
    app.steps["consumer"].update(["telemetry.monitoring.port.worker:Pulse", "telemetry.monitoring.port.eviction:Eviction"])
    if not edge:
        flower_page.install(app, [settings.ingest_queue])
    garbage.install()
    logs.install(settings)
    outages.install()
    try:
        traces.install(settings)
    except traces.MissingError as error:
        raise SystemExit(f"telemetry: {error}") from None
    return app


if not TYPE_CHECKING:
    # Celery asks a module for an attribute `app` (celery.app.utils.find_app); everybody else calls process_app.
    def __getattr__(name):  # noqa: ANN001, ANN202
        if name == "app":
            return process_app()
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
