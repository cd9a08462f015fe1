"""Connects to the broker: the one place that turns settings into a Redis client and TLS options."""

from __future__ import annotations

import ssl
from typing import Any

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from telemetry import failover
from telemetry.redaction import blot
from telemetry.sentinels import ANSWER_S, Place, Sentinels
from telemetry.settings import Settings
from telemetry.settings.sentinel_url import SentinelUrl, is_sentinel, parse

CONNECT_TIMEOUT_S = 5
SOCKET_TIMEOUT_S = 5
# The maxmemory-policy under which a full broker refuses what is new, which is backpressure. All others drop keys.
KEEPS_ALL = "noeviction"


def tls_options(settings: Settings) -> dict[str, Any] | None:
    """TLS options for a broker of rediss:// or sentinels://, None for a plain one.

    Certificates are checked unless TELEMETRY_BROKER_SKIP_VERIFY is on. Without these options redis-py and kombu check none
    for a bare rediss:// URL (CERT_NONE).
    """
    if not settings.broker_url.startswith(("rediss://", "sentinels://")):
        return None
    options: dict[str, Any] = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    if settings.broker_skip_verify:
        options = {"ssl_cert_reqs": ssl.CERT_NONE, "ssl_check_hostname": False}
    if settings.broker_ca:
        options["ssl_ca_certs"] = settings.broker_ca
    if settings.broker_cert:
        options |= {"ssl_certfile": settings.broker_cert, "ssl_keyfile": settings.broker_key}
    return options


def connect(settings: Settings, *, socket_timeout_s: float = SOCKET_TIMEOUT_S, retries: int = 3) -> redis.Redis:
    """A client for the broker's keys; connects at the first command, and anew after a failover. Replies are bytes."""
    guides = sentinels(settings, min(ANSWER_S, socket_timeout_s))
    url = parse(settings.broker_url).server("sentinel", 0) if guides else settings.broker_url
    options = {"sentinels": guides, **(tls_options(settings) or {})}
    return _client(url, options, socket_timeout_s, retries)


def replicas(settings: Settings) -> list[tuple[Place, redis.Redis]]:
    """The replicas of a broker behind sentinels, each with a client that goes there; none for another broker.

    A replica has no users but its own: who makes some must tell each server. Raises redis.ConnectionError.
    """
    guides = sentinels(settings)
    if guides is None:
        return []
    url, tls = parse(settings.broker_url), tls_options(settings) or {}
    return [(place, _client(url.server(*place), tls, SOCKET_TIMEOUT_S, 0)) for place in guides.replicas()]


def sentinels(settings: Settings, answer_s: float = ANSWER_S) -> Sentinels | None:
    """The sentinels of the settings; None for a broker at a fixed place. Silent ones are passed over after `answer_s`."""
    if not is_sentinel(settings.broker_url):
        return None
    url = parse(settings.broker_url)
    return Sentinels(url.sentinels, url.service, answer_s=answer_s, **_sentinel_options(settings, url))


def kombu_options(settings: Settings) -> dict[str, Any]:
    """The transport options by which kombu finds the primary. The last two are Flower's, which has a client of its own."""
    guides = sentinels(settings)
    return {"sentinels": guides, "master_name": guides.service, "sentinel_kwargs": guides.options} if guides else {}


def kombu_url(settings: Settings) -> str:
    """The broker's URL for kombu."""
    return parse(settings.broker_url).kombu if is_sentinel(settings.broker_url) else settings.broker_url


def _sentinel_options(settings: Settings, url: SentinelUrl) -> dict[str, Any]:
    given = {"username": settings.sentinel_username, "password": settings.sentinel_password}
    tls = {"ssl": True, **(tls_options(settings) or {})} if url.tls else {}
    return {name: value for name, value in given.items() if value} | tls


def _client(url: str, options: dict[str, Any], socket_timeout_s: float, retries: int) -> redis.Redis:
    if url.startswith("redis+socket://"):
        url = "unix://" + url.removeprefix("redis+socket://").replace("virtual_host=", "db=")
    return redis.Redis.from_url(
        url,
        socket_timeout=socket_timeout_s,
        socket_connect_timeout=min(CONNECT_TIMEOUT_S, socket_timeout_s),
        retry=Retry(ExponentialWithJitterBackoff(base=0.1, cap=1), retries),
        health_check_interval=15,
        client_name="telemetry",
        connection_class=failover.BY_SCHEME[url.partition("://")[0]],
        **options,
    )


def now_us(client: redis.Redis) -> int:
    """The broker's clock, microseconds since 1970: the one clock that edges and the centre share."""
    return microseconds(*client.time())


def microseconds(seconds: int, micros: int) -> int:
    """The two numbers of a TIME reply as one."""
    return int(seconds) * 1_000_000 + int(micros)


def eviction_advice(client: redis.Redis) -> str | None:
    """What to change where the broker drops keys when its memory is full; None if it does not, or does not tell."""
    try:
        policy = client.info("memory").get("maxmemory_policy")
    except redis.ResponseError:
        # Not every user of a broker may ask.
        return None
    if policy in {None, KEEPS_ALL}:
        return None
    return f"maxmemory-policy of the broker is {policy}: it drops messages when its memory is full; set it to {KEEPS_ALL}"


def shown(url: str) -> str:
    """A broker or database URL without its password, fit for a log or a screen."""
    return blot(url)
