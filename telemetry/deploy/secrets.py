"""The Secrets that hold passwords and credentials in a cluster. This tool makes them; Helm only names them.

Their version goes into the pods, so that these are replaced when a password changes, and only then.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from telemetry.deploy.cluster import CORE, Cluster, ForbiddenError, path_of
from telemetry.deploy.inventory import Inventory, Role, Site
from telemetry.deploy.passwords import Passwords
from telemetry.deploy.users import Users
from telemetry.deploy.values import (
    BROKER_KEY,
    BROKER_SECRET,
    DATABASE_KEY,
    DATABASE_SECRET,
    EDGE_SECRET,
    ROLES_SECRET,
    SENTINEL_KEY,
    SENTINEL_SECRET,
    TLS_SECRET,
    TRUST_SECRET,
    USERS_SECRET,
)

OWNER = {"app.kubernetes.io/managed-by": "telemetry-deploy"}
TRUST_KEY, USERS_KEY = "trust-secret", "users.acl"
# Which credentials of edges are valid, by their numbers: beside the centre's secret, of which they are made.
ISSUED_SECRET, ISSUED_KEY = "telemetry-issued", "edges"
OF_CENTRE = (BROKER_SECRET, SENTINEL_SECRET, DATABASE_SECRET, TRUST_SECRET, ROLES_SECRET)
# The Secrets that the pods of a site read. The Redis of a shared site reads its users anew by itself, and its certificate not.
READ_BY: dict[Role, tuple[str, ...]] = {
    "shared": (BROKER_SECRET, TLS_SECRET),
    "central": OF_CENTRE,
    "edge": (BROKER_SECRET, SENTINEL_SECRET, EDGE_SECRET),
}
NAMES = (*OF_CENTRE, EDGE_SECRET, USERS_SECRET, TLS_SECRET, ISSUED_SECRET)
Object = dict[str, Any]


def contents(site: Site, inventory: Inventory, passwords: Passwords, users: Users | None) -> dict[str, dict[str, str]]:
    """The Secrets that are made at a site, each with what it holds by its keys."""
    made: dict[str, dict[str, str]] = {}
    # Where parts and edges have users of their own, the password is the administrator's, and stays with the broker.
    is_shared = users is None or site.role == "shared" or (site.role == "central" and not users.ours)
    if passwords.broker is not None and is_shared:
        made[BROKER_SECRET] = {BROKER_KEY: passwords.broker}
    if passwords.sentinel is not None and inventory.broker.is_watched:
        made[SENTINEL_SECRET] = {SENTINEL_KEY: passwords.sentinel}
    if passwords.database is not None and site.role == "central":
        made[DATABASE_SECRET] = {DATABASE_KEY: passwords.database}
    return made | (_of_users(site, users) if users else {})


def _of_users(site: Site, users: Users) -> dict[str, dict[str, str]]:
    if site.role == "edge":
        return {EDGE_SECRET: users.of_edge(site.name)}
    if site.role == "central":
        roles = {ROLES_SECRET: users.of_centre()} if users.ours else {}
        return {TRUST_SECRET: {TRUST_KEY: users.secret}, **roles}
    return {USERS_SECRET: {USERS_KEY: users.file()}}


def present(cluster: Cluster, namespace: str) -> dict[str, Object]:
    """Those that are there, as far as this user may see them."""
    answers = {name: cluster.seen(path_of(CORE, "secrets", namespace, name)) for name in NAMES}
    return {name: secret for name, secret in answers.items() if secret is not None}


def text(secret: Object, key: str) -> str:
    """What a Secret holds; empty if it lacks the key."""
    return base64.b64decode((secret.get("data") or {}).get(key, "")).decode()


def is_ours(secret: Mapping[str, Any]) -> bool:
    """Whether this tool made it."""
    return bool(OWNER.items() <= secret["metadata"].get("labels", {}).items())


def write(cluster: Cluster, namespace: str, made: Mapping[str, Mapping[str, str]]) -> None:
    """Make the namespace and the Secrets that are missing, and give others what they hold now."""
    if _lacks(cluster, namespace):
        cluster.send("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    there = present(cluster, namespace)
    for name, texts in made.items():
        data = {key: base64.b64encode(held.encode()).decode() for key, held in texts.items()}
        if name not in there:
            body = {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "Opaque",
                "metadata": {"name": name, "labels": OWNER},
                "data": data,
            }
            cluster.send("POST", path_of(CORE, "secrets", namespace), body)
        elif not data.items() <= (there[name].get("data") or {}).items():
            cluster.send("PATCH", path_of(CORE, "secrets", namespace, name), {"data": data})


def _lacks(cluster: Cluster, namespace: str) -> bool:
    """Whether there is no such namespace. Who may not look at it has been given it."""
    try:
        return cluster.get(path_of(CORE, "namespaces", None, namespace)) is None
    except ForbiddenError:
        return False


def token(by_name: Mapping[str, Object], site: Site) -> str:
    """What changes when a password of the site does, and tells nothing of it."""
    names = READ_BY[site.role]
    return ".".join(str(by_name[name]["metadata"].get("resourceVersion", "")) for name in names if name in by_name)


def lacking(site: Site, inventory: Inventory, by_name: Mapping[str, Object], passwords: Passwords) -> str | None:
    """What keeps the site from its database."""
    if site.role == "central" and passwords.database is None and DATABASE_SECRET not in by_name:
        where = inventory.database.host or "the chart's own Postgres"
        return f"there is no password for {where}, and no Secret {DATABASE_SECRET}"
    return None
