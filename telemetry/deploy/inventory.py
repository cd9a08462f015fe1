"""What is to be deployed where: an inventory, from a TOML file, from options, or from both; options win.

It holds no password: those are `passwords`'s.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

Role = Literal["shared", "central", "edge"]
# The order in which they come up.
ROLES: tuple[Role, ...] = ("shared", "central", "edge")
RELEASES: dict[Role, str] = {role: f"telemetry-{role}" for role in ROLES}
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


class InventoryError(ValueError):
    """An inventory that cannot be used; the text names the key and the mend."""


@dataclass(frozen=True, slots=True)
class Broker:
    """The Redis that all meet at. Without a host it is that of the centre, or the shared one, in the one namespace of all."""

    host: str = ""
    port: int = 6380
    username: str = ""
    tls: bool = True
    ca: str = ""


@dataclass(frozen=True, slots=True)
class Database:
    """The Postgres of the centre. Without a host the chart brings one, for development."""

    host: str = ""
    port: int = 5432
    name: str = "telemetry"
    username: str = "telemetry"
    sslmode: str = "require"
    ca: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """One release in one cluster."""

    role: Role
    context: str
    # What the cluster is called in the names of edges, `cluster/node`.
    name: str
    values: tuple[str, ...] = ()

    @property
    def release(self) -> str:
        """The name of the Helm release."""
        return RELEASES[self.role]


@dataclass(frozen=True, slots=True)
class Inventory:
    """All sites, and what they share."""

    sites: tuple[Site, ...] = ()
    namespace: str = "telemetry"
    values: tuple[str, ...] = ()
    broker: Broker = field(default_factory=Broker)
    database: Database = field(default_factory=Database)

    def of(self, *roles: Role) -> list[Site]:
        """The sites of some roles, in the order in which they come up."""
        return [site for role in ROLES if role in roles for site in self.sites if site.role == role]


def read(path: Path) -> Inventory:
    """The inventory in a TOML file. Paths in it are relative to the file."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise InventoryError(f"{path} cannot be read: {error}") from None
    return parsed(document, path.parent)


def parsed(document: Mapping[str, Any], folder: Path) -> Inventory:
    """The inventory of a document. Keys that are unknown are refused by name."""
    known = {"namespace", "values", "redis", "database", *ROLES}
    _refuse(document, known, "the inventory")
    sites: list[Site] = []
    for role in ROLES:
        entries = document.get(role, [])
        for entry in [entries] if isinstance(entries, dict) else entries:
            _refuse(entry, {"context", "name", "values"}, role)
            if not isinstance(entry.get("context"), str):
                raise InventoryError(f"[{role}] lacks `context`: the name of a context of kubeconfig")
            name = entry.get("name") or named(entry["context"])
            sites.append(Site(role, entry["context"], name, _paths(entry.get("values", []), folder)))
    return Inventory(
        tuple(sites),
        document.get("namespace", "telemetry"),
        _paths(document.get("values", []), folder),
        _section(Broker(), document.get("redis", {}), "redis", folder),
        _section(Database(), document.get("database", {}), "database", folder),
    )


def merged(inventory: Inventory, contexts: Mapping[Role, Sequence[str]], **options: Any) -> Inventory:
    """The inventory with what options say in its place. Roles whose contexts are given take only these."""
    sites = tuple(site for site in inventory.sites if not contexts.get(site.role))
    sites += tuple(Site(role, context, named(context)) for role in ROLES for context in dict.fromkeys(contexts.get(role, ())))
    broker = {name.removeprefix("redis_"): value for name, value in options.items() if name.startswith("redis_")}
    database = {name.removeprefix("db_"): value for name, value in options.items() if name.startswith("db_")}
    return replace(
        inventory,
        sites=sites,
        namespace=options.get("namespace") or inventory.namespace,
        values=(*inventory.values, *options.get("values", ())),
        broker=replace(inventory.broker, **{name: value for name, value in broker.items() if value is not None}),
        database=replace(inventory.database, **{name: value for name, value in database.items() if value is not None}),
    )


def checked(inventory: Inventory) -> list[str]:
    """What keeps an inventory from being deployed, each with its mend."""
    edges = [edge.name for edge in inventory.of("edge")]
    several: tuple[Role, ...] = ("shared", "central")
    problems = [f"there are several {role} sites: give one --{role}-context" for role in several if len(inventory.of(role)) > 1]
    problems += [
        f"several edges are called {name}: give each a `name` of its own in the inventory"
        for name in sorted({name for name in edges if edges.count(name) > 1})
    ]
    problems += [
        f"{site.name!r} is no name for a cluster: set `name` to letters, digits, '-', '_' and '.'"
        for site in inventory.sites
        if not NAME.fullmatch(site.name)
    ]
    clusters = sorted({site.context for site in inventory.sites})
    if not inventory.broker.host and len(clusters) > 1:
        problems.append(f"{', '.join(clusters)} are different clusters: give --redis-host, a name that all of them reach")
    if inventory.broker.host and any(mark in inventory.broker.host for mark in "/@ "):
        problems.append("--redis-host is a URL: give the host alone, and the port by --redis-port")
    return problems


def named(context: str) -> str:
    """A cluster's name made of its context, whose last part says most: arn:aws:eks:us-west-2:1:cluster/gpu-1 is gpu-1."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", re.split(r"[/:@]", context.rstrip("/:@"))[-1]).strip("-._")


def _section(defaults: Any, given: Mapping[str, Any], where: str, folder: Path) -> Any:
    kinds = {item.name: type(getattr(defaults, item.name)) for item in fields(defaults)}
    _refuse(given, set(kinds), where)
    for name, value in given.items():
        if type(value) is not kinds[name]:
            raise InventoryError(f"[{where}] {name} must be {'true or false' if kinds[name] is bool else kinds[name].__name__}")
    changed = dict(given)
    if "ca" in changed:
        changed["ca"] = str(folder / changed["ca"])
    return replace(defaults, **changed)


def _paths(given: Any, folder: Path) -> tuple[str, ...]:
    return tuple(str(folder / path) for path in ([given] if isinstance(given, str) else given))


def _refuse(given: Mapping[str, Any], known: set[str], where: str) -> None:
    for name in given:
        if "password" in name and name not in known:
            raise InventoryError(f"{where} holds {name}: passwords do not belong in an inventory; see telemetry deploy --help")
        if name not in known:
            raise InventoryError(f"{where} has no key {name!r}; there are: {', '.join(sorted(known))}")
