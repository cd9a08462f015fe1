"""The one written form of a broker behind Redis Sentinel, and what stands in it. Pure.

`sentinel://user:password@host:port,host:port,…/service/database`: any number of sentinels, the name under which they watch the
primary, and the number of the database there. User and password are those of the Redis servers. With `sentinels://`, sentinels
and servers are reached by TLS.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from telemetry.settings import urls

SCHEMES = ("sentinel", "sentinels")
FORM = "sentinel://host:26379,host:26379,host:26379/service/0"
DEFAULT_PORT = 26379
MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """What such a URL says. `credentials` are those of the servers as they stand in it, up to and with its @."""

    credentials: str
    sentinels: tuple[tuple[str, int], ...]
    service: str
    database: int
    tls: bool

    @property
    def kombu(self) -> str:
        """The URL that kombu gets: it can parse one host only. Which server it leads to is decided at each connection."""
        host, port = self.sentinels[0]
        shown = f"[{host}]" if ":" in host else host
        return f"sentinel://{self.credentials}{shown}:{port}/{self.database}"

    def server(self, host: str, port: int) -> str:
        """The URL of one of the servers."""
        shown = f"[{host}]" if ":" in host else host
        return f"{'rediss' if self.tls else 'redis'}://{self.credentials}{shown}:{port}/{self.database}"


def is_sentinel(url: str) -> bool:
    """Whether a broker's URL is one of sentinels."""
    return url.partition("://")[0] in SCHEMES


def parse(url: str) -> SentinelUrl:
    """What a URL says. Raises ValueError, whose text shows no secret."""
    if ";" in url:
        raise ValueError(f"separates sentinels with ;: write them after one sentinel://, with commas between: {FORM}")
    try:
        parts = urls.split(url)
    except ValueError:
        # Its own words would show the password.
        raise ValueError(f"is no URL of this form: {FORM}") from None
    credentials, at, hosts = parts.netloc.rpartition("@")
    sentinels = tuple(_place(host.strip()) for host in hosts.split(","))
    service, _, database = parts.path.strip("/").partition("/")
    if not service or service.isdecimal():
        raise ValueError(f"names no service, which is what the sentinels call the primary, such as mymaster: {FORM}")
    if parts.query or not (database or "0").isdecimal() or not (database or "0").isascii():
        raise ValueError(f"must end with service and number of the database, and nothing behind it: {FORM}")
    return SentinelUrl(f"{credentials}{at}", sentinels, unquote(service), int(database or 0), parts.scheme == "sentinels")


def _place(text: str) -> tuple[str, int]:
    # An IPv6 address stands in brackets.
    host, bracket, rest = text.partition("]")
    name, port = (f"{host.removeprefix('[')}", rest.removeprefix(":")) if bracket else text.partition(":")[::2]
    if not name:
        raise ValueError(f"lacks the name of a sentinel, at its beginning or between two commas: {FORM}")
    if port and not (port.isascii() and port.isdecimal() and 0 < int(port) <= MAX_PORT):
        raise ValueError(f"has no port between 1 and 65535 behind a sentinel's name: {FORM}")
    return name, int(port or DEFAULT_PORT)
