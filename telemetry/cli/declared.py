"""What `telemetry edge declare` takes and waits for: numbers of credentials that are valid, and a broker that lets them in."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import click
import redis

from telemetry import broker
from telemetry.settings import Settings
from telemetry.trust import holders
from telemetry.trust.credentials import Maker

LOOK_EVERY_S = 1.0
NUMBERS = re.compile(r"[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*")


class Declared(NamedTuple):
    """A holder, and the numbers of its credentials that are valid."""

    name: str
    serials: tuple[int, ...]


class Declaration(click.ParamType[Declared]):
    """A holder with its numbers: NAME=1,2."""

    name = "name=numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Declared:
        """The holder and its numbers."""
        name, _, numbers = str(value).partition("=")
        if not NUMBERS.fullmatch(numbers):
            self.fail(f"{value!r} must read NAME=NUMBERS, such as gpu-a=1,2; numbers begin with 1", param, ctx)
        try:
            return Declared(holders.parse(name), tuple(sorted({int(number) for number in numbers.split(",")})))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def shut_out(settings: Settings, maker: Maker, valid: Mapping[str, Sequence[int]], wait_s: float) -> dict[str, str]:
    """Wait until each broker lets each holder in with each of its credentials. Those that it does not, and why."""
    until = time.monotonic() + wait_s
    while refused := _refused(settings, maker, valid):
        if time.monotonic() > until:
            return refused
        time.sleep(LOOK_EVERY_S)
    return {}


def _refused(settings: Settings, maker: Maker, valid: Mapping[str, Sequence[int]]) -> dict[str, str]:
    refused = {}
    for name, serials in valid.items():
        for serial in serials:
            environment = maker.environment(name, serial)
            user, password = environment["TELEMETRY_BROKER_USERNAME"], environment["TELEMETRY_BROKER_PASSWORD"]
            for one in settings.brokers.values():
                url = _as_user(one.broker_url, user, password)
                try:
                    with broker.connect(replace(one, broker_url=url), retries=0) as client:
                        client.ping()
                except redis.RedisError as error:
                    refused[f"{name} number {serial}"] = f"{broker.shown(one.broker_url)}: {error}"
    return refused


def _as_user(url: str, user: str, password: str) -> str:
    parts = urlsplit(url)
    _, _, host = parts.netloc.rpartition("@")
    query = f"?{parts.query}" if parts.query else ""
    # geturl() would leave out the slashes of an empty host.
    return f"{parts.scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{host}{parts.path}{query}"
