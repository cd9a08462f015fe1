"""The chart's values of a site, made of the inventory. Pure; a value never is a password, only the name of its Secret."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from telemetry.deploy.inventory import Inventory, NamedBroker, Role, Site
from telemetry.deploy.users import EDGE_PASSWORD, Users
from telemetry.trust import rights

BROKER_SECRET, DATABASE_SECRET = "telemetry-broker", "telemetry-database"
BROKER_KEY, DATABASE_KEY = "redis-password", "password"
# Where the broker knows users: the centre's secret, its parts' passwords, an edge's credentials; users, certificate.
TRUST_SECRET, ROLES_SECRET, EDGE_SECRET = "telemetry-trust", "telemetry-roles", "telemetry-edge"
USERS_SECRET, TLS_SECRET = "telemetry-broker-users", "telemetry-broker-tls"
SENTINEL_SECRET, SENTINEL_KEY = "telemetry-sentinel", "sentinel-password"
# What of the centre has no user of its own is this part.
PART: rights.Role = "api"
FILES: dict[Role, str] = {role: f"values-{role}-cluster.yaml" for role in ("shared", "central", "edge")}


def files(site: Site, inventory: Inventory, chart: Path) -> tuple[list[str], list[str]]:
    """Files of values below what is made here, and above it, each in the order in which Helm takes them."""
    return [str(chart / FILES[site.role])], [*inventory.values, *site.values]


def key_prefix(inventory: Inventory) -> str:
    """The prefix of keys, of which the broker's users are called: that of the values that all sites have."""
    prefix = "telemetry"
    for path in inventory.values:
        given = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
        prefix = str(given.get("keyPrefix", prefix))
    return prefix


def made(site: Site, inventory: Inventory, users: Users | None, *, have: Collection[str], token: str = "") -> dict[str, Any]:
    """The values. `have` are the Secrets that the site has or gets; `token` restarts pods when it changes."""
    values: dict[str, Any] = {"clusterName": "central" if site.role == "central" else site.name}
    if token:
        values["restartToken"] = token
    if site.role == "shared":
        return values | {"redis": _shared(inventory, users, have)}
    values |= _broker(site, inventory, users, have)
    if users:
        values["trust"] = _trust(site, users)
    return values | (_database(inventory) if site.role == "central" else {})


def brings_certificate(inventory: Inventory) -> bool:
    """Whether the deployment makes the certificate of the Redis that it brings: nobody else has, and other clusters come."""
    broker = inventory.broker
    return bool(inventory.of("shared") and broker.host and broker.tls and not broker.ca)


def _shared(inventory: Inventory, users: Users | None, have: Collection[str]) -> dict[str, Any]:
    redis: dict[str, Any] = {"existingSecret": BROKER_SECRET if BROKER_SECRET in have else ""}
    if users:
        redis["users"] = {"existingSecret": USERS_SECRET}
    if brings_certificate(inventory):
        redis["tls"] = {"existingSecret": TLS_SECRET}
    return redis


class Login(NamedTuple):
    """As whom a site reaches the broker: user, and Secret and key of the password."""

    username: str
    secret: str
    key: str


def _login(site: Site, inventory: Inventory, users: Users | None, have: Collection[str]) -> Login:
    if users and site.role == "edge":
        return Login(rights.edge_name(users.prefix, site.name), EDGE_SECRET, EDGE_PASSWORD)
    if users and users.ours:
        return Login(rights.role_name(users.prefix, PART), ROLES_SECRET, PART)
    return Login(inventory.broker.username, BROKER_SECRET if BROKER_SECRET in have else "", BROKER_KEY)


def _trust(site: Site, users: Users) -> dict[str, Any]:
    if site.role == "edge":
        return {"existingSecret": EDGE_SECRET}
    return {"existingSecret": TRUST_SECRET, "roles": {"existingSecret": ROLES_SECRET if users.ours else ""}}


def _broker(site: Site, inventory: Inventory, users: Users | None, have: Collection[str]) -> dict[str, Any]:
    broker, login = inventory.broker, _login(site, inventory, users, have)
    if not broker.is_elsewhere:
        # Where a shared site brings the broker, the centre brings none.
        own = {} if site.role == "edge" or not inventory.of("shared") else {"enabled": False}
        redis = {"existingSecret": login.secret, "existingSecretPasswordKey": login.key, "username": login.username}
        return {"externalRedis": {"enabled": False, "host": ""}, "redis": {**redis, **own}}
    tls: dict[str, Any] = {"enabled": broker.tls}
    if broker.tls and broker.ca:
        tls["caCert"] = Path(broker.ca).read_text(encoding="utf-8")
    elif broker.tls and users and users.ca:
        tls["caCert"] = users.ca
    auth = {"enabled": bool(login.secret), "existingSecret": login.secret, "existingSecretPasswordKey": login.key}
    reached: dict[str, Any] = {"host": broker.host, "port": broker.port, "username": login.username}
    if broker.is_watched:
        secret = SENTINEL_SECRET if SENTINEL_SECRET in have else ""
        reached["sentinel"] = {"hosts": list(broker.sentinels), "service": broker.service, "existingSecret": secret}
    if broker.several:
        drained = [each.name for each in broker.several if each.drained]
        reached |= {"brokers": list(map(_named, broker.several)), "brokerName": site.broker, "drained": drained}
    return {"externalRedis": {"enabled": True, **reached, "tls": tls, "auth": auth}}


def _named(broker: NamedBroker) -> dict[str, Any]:
    """One of several, with what it says of itself."""
    port = {"port": broker.port} if broker.port else {}
    if not broker.sentinels:
        return {"name": broker.name, "host": broker.host, **port}
    service = {"service": broker.service} if broker.service else {}
    return {"name": broker.name, "sentinel": {"hosts": list(broker.sentinels), **service}, **port}


def _database(inventory: Inventory) -> dict[str, Any]:
    database = inventory.database
    if not database.host:
        return {"postgresql": {"auth": {"existingSecret": DATABASE_SECRET, "existingSecretPasswordKey": DATABASE_KEY}}}
    reached: dict[str, Any] = {"host": database.host, "port": database.port}
    reached |= {"database": database.name, "username": database.username}
    if database.other_hosts:
        reached["otherHosts"] = list(database.other_hosts)
    if database.read_host:
        reached["readHost"] = database.read_host
    ca = {"caCert": Path(database.ca).read_text(encoding="utf-8")} if database.ca else {}
    secret = {"existingSecret": DATABASE_SECRET, "existingSecretPasswordKey": DATABASE_KEY, "sslMode": database.sslmode}
    return {"externalPostgresql": {"enabled": True, **reached, **secret, **ca}}
