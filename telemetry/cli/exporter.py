"""`telemetry exporter`: metrics of queue, sources, ledger and database, for Prometheus. Runs in the foreground."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import redis
from sqlalchemy import Engine

from telemetry import broker
from telemetry.cli.session import data_dir_option, load_settings
from telemetry.exporter import audits, clocks, database, gpus, health
from telemetry.exporter import broker as queue
from telemetry.exporter.look import Look, Looks
from telemetry.monitoring import logs
from telemetry.monitoring.port import server
from telemetry.monitoring.port.connection import BrokerPing
from telemetry.notify.addresses import AddressError
from telemetry.progress.everywhere import Heard
from telemetry.settings import Settings
from telemetry.store.engine import make_engine
from telemetry.store.follower import Follower

PORT = 9104
COMPONENT = "exporter"
# Looks that read the whole ledger are this many times rarer than the others.
AUDIT_EVERY = 4
# The audit pauses for so many times as long as it has worked: it takes less than a percent of a core.
AUDIT_PAUSE = 110
# An answer of one of several brokers to an audit.
AUDIT_S = 2.0
# Looks that work, and are late after a pause.
NO_PAUSE = 1


@click.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help=f"Port to serve /metrics on.  [default: TELEMETRY_METRICS_PORT, or {PORT}]",
)
@data_dir_option
def exporter(port: int | None, data_dir: Path | None) -> None:
    """Serve metrics of the queue, the sources, the ledger and the database; judge the health of GPUs, and tell people."""
    settings = load_settings(data_dir)
    settings = replace(settings, metrics_port=port or settings.metrics_port or PORT)
    logs.configure(settings)
    try:
        looks = looks_at(settings)
    except AddressError as error:
        raise click.ClickException(str(error)) from None
    ping = BrokerPing(settings, COMPONENT)
    for look in looks:
        look.start()
    registry = server.registry_of(settings, COMPONENT, [ping, Looks(looks)])

    def ready() -> server.Answer:
        parts = {look.name: "ok" if look.is_fresh() else "unreachable" for look in looks}
        return all(state == "ok" for state in parts.values()), parts

    def live() -> server.Answer:
        parts = {look.name: look.is_alive() for look in looks}
        return all(parts.values()), parts

    try:
        server.serve(settings, registry, live, ready)
    except server.PortError as error:
        raise click.ClickException(str(error)) from None
    ping.start()
    stopping = threading.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, lambda *_: stopping.set())
    stopping.wait()


def looks_at(settings: Settings) -> list[Look]:
    """The looks at each part of the system."""
    engine = make_engine(settings, application="exporter", pool_size=8 + len(settings.brokers))
    clients = {name: broker.connect(one) for name, one in settings.brokers.items()}
    # After a look that took long a long pause follows: one of several that is frozen must not keep edges of the others waiting.
    of_audits = clients
    if settings.broker_urls:
        of_audits = {name: broker.connect(one, socket_timeout_s=AUDIT_S, retries=0) for name, one in settings.brokers.items()}
    follower = _following(settings, settings.database_read_url, engine) if settings.database_read_url else None

    def reading() -> Engine:
        return follower.engine if follower else engine

    every_s = settings.exporter_interval_s
    looks = [*_of_brokers(settings, engine, clients)]
    looks += [
        Look("database", every_s, lambda: database.look(engine, settings)),
        Look("ledger", AUDIT_EVERY * every_s, lambda: database.ledger(reading())),
        Look("gaps", AUDIT_EVERY * every_s, audits.GapAudit(engine, settings, of_audits), AUDIT_PAUSE),
        Look("samples", AUDIT_EVERY * every_s, audits.SampleAuditLook(engine), AUDIT_PAUSE),
        Look("shortfalls", every_s, audits.ShortfallLook(engine, settings, of_audits)),
        Look("health", every_s, lambda: health.look(engine, settings), NO_PAUSE),
    ]
    if follower:
        looks.append(Look("replica", every_s, lambda: database.replica(follower)))
    if settings.notify:
        looks.append(Look("notify", every_s, health.Teller(engine, settings), NO_PAUSE))
    if settings.exporter_gpus:
        looks.append(Look("gpus", every_s, lambda: gpus.look(reading())))
    return looks


def _following(settings: Settings, url: str, engine: Engine) -> Follower:
    # All of the API comes along, half of the time and the memory that an exporter without a replica takes to start.
    from telemetry.api.core.connections import following  # noqa: PLC0415

    return following(settings, url, engine, "exporter", 2)


def _of_brokers(settings: Settings, engine: Engine, clients: Mapping[str, redis.Redis]) -> Iterator[Look]:
    """The looks at each broker, and at its clock. One of several has its name behind that of the part."""
    every_s, known = settings.exporter_interval_s, dict[str, Heard]()
    for name, one in settings.brokers.items():
        at = f" {name}" if name else ""
        yield Look(f"broker{at}", every_s, queue.BrokerLook(name, clients, settings, known))
        yield Look(f"clocks{at}", every_s, partial(clocks.look, engine, clients[name], one))
