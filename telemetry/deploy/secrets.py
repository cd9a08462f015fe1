"""The Secrets that hold the passwords of broker and database in a cluster. This tool makes them; Helm only names them.

Their version goes into the pods, so that these are replaced when a password changes, and only then.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from telemetry.deploy.cluster import CORE, Cluster, ForbiddenError, path_of
from telemetry.deploy.inventory import Inventory, Site
from telemetry.deploy.passwords import Passwords
from telemetry.deploy.values import BROKER_KEY, BROKER_SECRET, DATABASE_KEY, DATABASE_SECRET

OWNER = {"app.kubernetes.io/managed-by": "telemetry-deploy"}
Object = dict[str, Any]


def wanted(site: Site, passwords: Passwords) -> Iterator[tuple[str, str, str]]:
    """Name, key and password of each Secret of a site."""
    if passwords.broker is not None:
        yield BROKER_SECRET, BROKER_KEY, passwords.broker
    if passwords.database is not None and site.role == "central":
        yield DATABASE_SECRET, DATABASE_KEY, passwords.database


def present(cluster: Cluster, namespace: str) -> dict[str, Object]:
    """Those that are there, as far as this user may see them."""
    found = {name: cluster.seen(path_of(CORE, "secrets", namespace, name)) for name in (BROKER_SECRET, DATABASE_SECRET)}
    return {name: secret for name, secret in found.items() if secret is not None}


def is_ours(secret: Mapping[str, Any]) -> bool:
    """Whether this tool made it."""
    return bool(OWNER.items() <= secret["metadata"].get("labels", {}).items())


def write(cluster: Cluster, namespace: str, site: Site, passwords: Passwords) -> None:
    """Make the namespace and the Secrets that are missing, and give others the password of now."""
    if _lacks(cluster, namespace):
        cluster.send("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    there = present(cluster, namespace)
    for name, key, password in wanted(site, passwords):
        data = {key: base64.b64encode(password.encode()).decode()}
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


def token(found: Mapping[str, Object], site: Site) -> str:
    """What changes when a password of the site does, and tells nothing of it."""
    names = (BROKER_SECRET, DATABASE_SECRET) if site.role == "central" else (BROKER_SECRET,)
    return ".".join(str(found[name]["metadata"].get("resourceVersion", "")) for name in names if name in found)


def has_broker_password(found: Mapping[str, Object], passwords: Passwords) -> bool:
    """Whether the broker is reached with a password: one that was given, or one that is there."""
    return passwords.broker is not None or BROKER_SECRET in found


def lacking(site: Site, inventory: Inventory, found: Mapping[str, Object], passwords: Passwords) -> str | None:
    """What keeps the site from its database."""
    if site.role == "central" and passwords.database is None and DATABASE_SECRET not in found:
        where = inventory.database.host or "the chart's own Postgres"
        return f"there is no password for {where}, and no Secret {DATABASE_SECRET}"
    return None
