"""The chart's values of a site, made of the inventory. Pure; a value never is a password, only the name of its Secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from telemetry.deploy.inventory import Inventory, Role, Site

BROKER_SECRET, DATABASE_SECRET = "telemetry-broker", "telemetry-database"
BROKER_KEY, DATABASE_KEY = "redis-password", "password"
FILES: dict[Role, str] = {role: f"values-{role}-cluster.yaml" for role in ("shared", "central", "edge")}


def files(site: Site, inventory: Inventory, chart: Path) -> tuple[list[str], list[str]]:
    """Files of values below what is made here, and above it, each in the order in which Helm takes them."""
    return [str(chart / FILES[site.role])], [*inventory.values, *site.values]


def made(site: Site, inventory: Inventory, *, broker_secret: bool, token: str = "") -> dict[str, Any]:
    """The values. `broker_secret` says whether the broker has a password; `token` restarts pods when it changes."""
    values: dict[str, Any] = {"clusterName": "central" if site.role == "central" else site.name}
    if token:
        values["restartToken"] = token
    if site.role == "shared":
        return values | {"redis": {"existingSecret": BROKER_SECRET if broker_secret else ""}}
    values |= _broker(site, inventory, broker_secret=broker_secret)
    return values | (_database(inventory) if site.role == "central" else {})


def _broker(site: Site, inventory: Inventory, *, broker_secret: bool) -> dict[str, Any]:
    broker = inventory.broker
    secret = BROKER_SECRET if broker_secret else ""
    if not broker.host:
        # Where a shared site brings the broker, the centre brings none.
        own = {} if site.role == "edge" or not inventory.of("shared") else {"enabled": False}
        return {"externalRedis": {"enabled": False, "host": ""}, "redis": {"existingSecret": secret, **own}}
    tls: dict[str, Any] = {"enabled": broker.tls}
    if broker.tls and broker.ca:
        tls["caCert"] = Path(broker.ca).read_text(encoding="utf-8")
    auth = {"enabled": broker_secret, "existingSecret": secret, "existingSecretPasswordKey": BROKER_KEY}
    reached = {"host": broker.host, "port": broker.port, "username": broker.username}
    return {"externalRedis": {"enabled": True, **reached, "tls": tls, "auth": auth}}


def _database(inventory: Inventory) -> dict[str, Any]:
    database = inventory.database
    if not database.host:
        return {"postgresql": {"auth": {"existingSecret": DATABASE_SECRET, "existingSecretPasswordKey": DATABASE_KEY}}}
    reached = {"host": database.host, "port": database.port, "database": database.name, "username": database.username}
    ca = {"caCert": Path(database.ca).read_text(encoding="utf-8")} if database.ca else {}
    secret = {"existingSecret": DATABASE_SECRET, "existingSecretPasswordKey": DATABASE_KEY, "sslMode": database.sslmode}
    return {"externalPostgresql": {"enabled": True, **reached, **secret, **ca}}
