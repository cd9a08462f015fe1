"""What is to be deployed where: an inventory, from a TOML file, from options, or from both; options win.

It holds no password: those are `passwords`'s.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

Role = Literal["shared", "central", "edge"]
# The order in which they come up.
ROLES: tuple[Role, ...] = ("shared", "central", "edge")
RELEASES: dict[Role, str] = {role: f"telemetry-{role}" for role in ROLES}
SPELT = {bool: "true or false", str: "text", int: "a number", tuple: "a list of texts"}
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
# As the chart's schema has it: collectors of a broker are called by it.
BROKER_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?")


class InventoryError(ValueError):
    """An inventory that cannot be used; the text names the key and the mend."""


@dataclass(frozen=True, slots=True)
class NamedBroker:
    """One of several brokers. What it does not say of itself is that of all of them."""

    name: str = ""
    host: str = ""
    # 0 for that of all.
    port: int = 0
    sentinels: tuple[str, ...] = ()
    # "" for that of all.
    service: str = ""
    # Edges leave it; collectors go on with what it has.
    drained: bool = False


@dataclass(frozen=True, slots=True)
class Broker:
    """The Redis that all meet at. Without a host it is that of the centre, or the shared one, in the one namespace of all.

    Where there are `several`, the rest is what they have in common.
    """

    host: str = ""
    port: int = 6380
    username: str = ""
    tls: bool = True
    ca: str = ""
    # Give each edge cluster a user of its own; the password is then that of one who may make users.
    users: bool = False
    # Sentinels as host or host:port, which say where the broker is; and the name by which they watch it.
    sentinels: tuple[str, ...] = ()
    service: str = "mymaster"
    several: tuple[NamedBroker, ...] = ()

    @property
    def is_elsewhere(self) -> bool:
        """Whether somebody says where it is."""
        return bool(self.host or self.sentinels or self.several)

    @property
    def is_watched(self) -> bool:
        """Whether sentinels say where it is, or where one of several is."""
        return bool(self.sentinels or any(each.sentinels for each in self.several))


@dataclass(frozen=True, slots=True)
class Database:
    """The Postgres of the centre. Without a host the chart brings one, for development."""

    host: str = ""
    # Its replicas and former primaries, any of which may be the primary one day; and one to read from.
    other_hosts: tuple[str, ...] = ()
    read_host: str = ""
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
    # The one of several brokers that an edge uses; "" lets each edge take one by its own name.
    broker: str = ""

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

    @property
    def has_users(self) -> bool:
        """Whether each edge gets credentials of its own: at a broker that the deployment brings, or where one asks for it."""
        return self.broker.users or bool(self.of("shared"))

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
    known = {"namespace", "values", "redis", "broker", "database", *ROLES}
    _refuse(document, known, "the inventory")
    sites: list[Site] = []
    for role in ROLES:
        entries = document.get(role, [])
        for entry in [entries] if isinstance(entries, dict) else entries:
            _refuse(entry, {"context", "name", "values", *(["broker"] if role == "edge" else [])}, role)
            if not isinstance(entry.get("context"), str):
                raise InventoryError(f"[{role}] lacks `context`: the name of a context of kubeconfig")
            name = entry.get("name") or named(entry["context"])
            broker = entry.get("broker", "")
            if not isinstance(broker, str):
                raise InventoryError(f"[{role}] broker must be the name of a [[broker]]")
            sites.append(Site(role, entry["context"], name, _paths(entry.get("values", []), folder), broker))
    common: Broker = _section(Broker(), document.get("redis", {}), "redis", folder)
    several = tuple(_section(NamedBroker(), entry, "broker", folder) for entry in _listed(document.get("broker", []), "broker"))
    return Inventory(
        tuple(sites),
        document.get("namespace", "telemetry"),
        _paths(document.get("values", []), folder),
        replace(common, several=several),
        _section(Database(), document.get("database", {}), "database", folder),
    )


def merged(inventory: Inventory, contexts: Mapping[Role, Sequence[str]], **options: Any) -> Inventory:
    """The inventory with what options say in its place. Roles whose contexts are given take only these, as they stand in it."""
    known = {(site.role, site.context): site for site in inventory.sites}
    sites = tuple(site for site in inventory.sites if not contexts.get(site.role))
    sites += tuple(
        known.get((role, context)) or Site(role, context, named(context))
        for role in ROLES
        for context in dict.fromkeys(contexts.get(role, ()))
    )
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
    if not inventory.broker.is_elsewhere and len(clusters) > 1:
        problems.append(f"{', '.join(clusters)} are different clusters: give --redis-host, a name that all of them reach")
    return [*problems, *_contradictions(inventory)]


def _contradictions(inventory: Inventory) -> Iterator[str]:
    broker, database = inventory.broker, inventory.database
    if any(mark in host for host in (broker.host, *(each.host for each in broker.several)) for mark in "/@ "):
        yield "--redis-host is a URL: give the host alone, and the port by --redis-port"
    if broker.host and broker.sentinels:
        yield "both a host of the Redis and sentinels are given: leave the host out, as the sentinels say where the Redis is"
    if broker.sentinels and inventory.of("shared"):
        yield "a shared Redis and sentinels are given: the sentinels lead to another Redis; leave one of them out"
    if (database.other_hosts or database.read_host) and not database.host:
        yield "hosts of the Postgres are given besides a first one: give that as `host` of [database], or --db-host"
    if inventory.has_users and inventory.of("edge") and not inventory.of("central"):
        yield "each edge gets credentials of its own, and the centre has to know them: give --central-context"
    yield from _of_several(inventory)


def _of_several(inventory: Inventory) -> Iterator[str]:
    several = inventory.broker.several
    if several and (inventory.broker.host or inventory.broker.sentinels):
        yield "a Redis and a list of brokers are given: leave `host` and `sentinels` of [redis] and --redis-host out"
    if several and inventory.of("shared"):
        yield "a shared Redis and a list of brokers are given: leave one of them out"
    if several and all(each.drained for each in several):
        yield "all brokers are drained: leave one for the edges"
    names = [each.name for each in several]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"several brokers are called {name}: give each a `name` of its own"
    for each in several:
        if not BROKER_NAME.fullmatch(each.name):
            yield f"{each.name!r} is no name for a broker: set `name` to at most 12 small letters, digits and '-'"
        if bool(each.host) == bool(each.sentinels):
            yield f"the broker {each.name} needs either a host or sentinels: give it one of `host` and `sentinels`"
    for site in inventory.of("edge"):
        if site.broker and site.broker not in names:
            there = f"name one of {', '.join(names)}" if names else "list them as [[broker]]"
            yield f"{site.name} uses the broker {site.broker}, which is not in the list of brokers: {there}"


def named(context: str) -> str:
    """A cluster's name made of its context, whose last part says most: arn:aws:eks:us-west-2:1:cluster/gpu-1 is gpu-1."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", re.split(r"[/:@]", context.rstrip("/:@"))[-1]).strip("-._")


def _listed(given: Any, where: str) -> list[dict[str, Any]]:
    if not isinstance(given, list):
        raise InventoryError(f"[{where}] must be written as [[{where}]], once for each")
    return given


def _section(defaults: Any, given: Mapping[str, Any], where: str, folder: Path) -> Any:
    kinds = {item.name: type(getattr(defaults, item.name)) for item in fields(defaults) if item.name != "several"}
    _refuse(given, set(kinds), where)
    changed = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    for name, value in changed.items():
        if type(value) is not kinds[name] or (kinds[name] is tuple and not all(isinstance(each, str) for each in value)):
            raise InventoryError(f"[{where}] {name} must be {SPELT[kinds[name]]}")
    if "ca" in changed:
        changed["ca"] = str(folder / str(changed["ca"]))
    return replace(defaults, **changed)


def _paths(given: Any, folder: Path) -> tuple[str, ...]:
    return tuple(str(folder / path) for path in ([given] if isinstance(given, str) else given))


def _refuse(given: Mapping[str, Any], known: set[str], where: str) -> None:
    for name in given:
        if "password" in name and name not in known:
            raise InventoryError(f"{where} holds {name}: passwords do not belong in an inventory; see telemetry deploy --help")
        if name not in known:
            raise InventoryError(f"{where} has no key {name!r}; there are: {', '.join(sorted(known))}")
