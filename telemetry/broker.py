"""Connects to the broker: the one place that turns settings into a Redis client and TLS options."""

from __future__ import annotations

import ssl
from typing import Any

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from telemetry import failover
from telemetry.redaction import blot
from telemetry.settings import Settings

CONNECT_TIMEOUT_S = 5
SOCKET_TIMEOUT_S = 5
# The maxmemory-policy under which a full broker refuses what is new, which is backpressure. All others drop keys.
KEEPS_ALL = "noeviction"


def tls_options(settings: Settings) -> dict[str, Any] | None:
    """TLS options for a rediss:// broker, None for a plain one.

    Certificates are checked unless TELEMETRY_BROKER_SKIP_VERIFY is on. Without these options redis-py and kombu check none
    for a bare rediss:// URL (CERT_NONE).
    """
    if not settings.broker_url.startswith("rediss://"):
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
    url = settings.broker_url
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
        **(tls_options(settings) or {}),
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
