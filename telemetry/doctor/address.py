"""Where broker and database are, read from the URLs of the settings, and how their TLS is to be checked. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote

from telemetry.settings import Settings
from telemetry.settings.sentinel_url import is_sentinel, parse
from telemetry.settings.urls import split

# What libpq does with certificates: https://www.postgresql.org/docs/current/libpq-ssl.html
CHECKS_CHAIN = {"verify-ca", "verify-full"}
SYSTEM_CA = "system"


@dataclass(frozen=True, slots=True)
class Tls:
    """How the product speaks TLS to a server. `ca` is a file, None for the certificates of the system."""

    checks_chain: bool
    checks_name: bool
    unchecked_because: str = ""
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """One server. `variable` is where a person changes it. A server at a Unix socket has no host."""

    variable: str
    host: str
    port: int
    socket: str | None = None
    tls: Tls | None = None
    # Whether TLS begins after a question, as Postgres wants it.
    starts_plain: bool = False


@dataclass(frozen=True, slots=True)
class Secrets:
    """The passwords of the settings, so that no text shows them."""

    texts: frozenset[str] = field(repr=False)


def broker(settings: Settings) -> list[Address]:
    """The broker's address, or those of its sentinels."""
    variable = "TELEMETRY_BROKER_URLS" if settings.broker_urls else "TELEMETRY_BROKER_URL"
    if is_sentinel(settings.broker_url):
        return [Address(variable, *place) for place in parse(settings.broker_url).sentinels]
    parts = split(settings.broker_url)
    if parts.scheme == "redis+socket":
        return [Address(variable, "", 0, parts.path)]
    tls = None
    if parts.scheme == "rediss":
        checks = not settings.broker_skip_verify
        why = "" if checks else "TELEMETRY_BROKER_SKIP_VERIFY is on"
        tls = Tls(checks, checks, why, settings.broker_ca, settings.broker_cert, settings.broker_key)
    return [Address(variable, parts.hostname or "localhost", parts.port or 6379, tls=tls)]


def database(settings: Settings) -> list[Address]:
    """The database's addresses."""
    return _of_postgres(settings.database_url, "TELEMETRY_DATABASE_URL")


def replica(settings: Settings) -> list[Address]:
    """Those of the replica to read from; none where there is none."""
    return _of_postgres(settings.database_read_url, "TELEMETRY_DATABASE_READ_URL") if settings.database_read_url else []


def _of_postgres(url: str, variable: str) -> list[Address]:
    """Several hosts stand in the URL or in its query, with commas between them, as libpq takes them."""
    parts = split(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    hosts = query["host"].split(",") if "host" in query else parts.netloc.rpartition("@")[2].split(",")
    ports = query.get("port", "").split(",")
    addresses = []
    for number, text in enumerate(hosts):
        host, own = _parted(text)
        port = own or (ports[number] if number < len(ports) else ports[0]) or "5432"
        if host.startswith("/"):
            addresses.append(Address(variable, "", int(port), f"{host}/.s.PGSQL.{port}"))
        else:
            addresses.append(Address(variable, host or "localhost", int(port), tls=_database_tls(query), starts_plain=True))
    return addresses


def _parted(text: str) -> tuple[str, str]:
    """Host and port of a text; an IPv6 address may stand in brackets, and without them has no port."""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        return host, port.removeprefix(":")
    host, colon, port = text.partition(":")
    return (host, port) if colon and ":" not in port else (text, "")


def _database_tls(query: dict[str, str]) -> Tls | None:
    mode, ca = query.get("sslmode", "prefer"), query.get("sslrootcert")
    if mode in {"disable", "allow", "prefer"}:
        # libpq goes on without TLS, or without any check.
        return None
    # With a root certificate, libpq checks the chain for `require`, too.
    chain = mode in CHECKS_CHAIN or ca is not None
    why = "" if mode == "verify-full" else f"sslmode is {mode}"
    return Tls(chain, mode == "verify-full", why, None if ca == SYSTEM_CA else ca, query.get("sslcert"), query.get("sslkey"))


def secrets(settings: Settings) -> Secrets:
    """Every form in which a password stands in the settings."""
    words = {settings.broker_password, settings.sentinel_password, settings.database_password, settings.oidc_client_secret}
    brokers = (url for _, url in settings.broker_urls)
    for url in filter(None, (settings.broker_url, settings.database_url, settings.database_read_url, *brokers)):
        parts = split(url)
        words |= {parts.password, unquote(parts.password or "")}
        words |= {value for name in ("password", "sslpassword") for value in parse_qs(parts.query).get(name, [])}
    return Secrets(frozenset(word for word in words if word))
