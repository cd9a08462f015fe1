"""Times that commands are given: a time, a day, or so long before now."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from telemetry import lengths
from telemetry.settings import parsers

BEFORE_NOW = re.compile(r"-?([0-9]{1,10})([smhdw])", re.ASCII)


class Since(click.ParamType[datetime]):
    """A time in UTC. A day alone is its midnight there; -2h is two hours ago."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The time of a text."""
        if isinstance(value, datetime):
            return value
        text = str(value)
        try:
            if match := BEFORE_NOW.fullmatch(text):
                return datetime.now(UTC) - timedelta(**{lengths.UNITS[match[2]]: int(match[1])})
            return parsers.instant(f"{text}T00:00:00Z" if len(text) == len("2026-11-05") else text)
        except OverflowError:
            self.fail(f"{text!r} is before all times; give a shorter one, such as -2h", param, ctx)
        except ValueError as error:
            self.fail(f"{error}, or so long before now as -2h", param, ctx)


SINCE = Since()
