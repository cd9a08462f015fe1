r"""How the times of a wide file are written: the key `time` of a `[[source]]`, checked.

    time = { column = "timestamp", form = "epoch_ms" }
    time = { column = ["Date", "Time"], form = "%d-%m-%Y %H:%M:%S" }
    time = { column = "elapsed_sec", form = "elapsed_s", since = 2026-11-05T10:00:00Z }
    time = { column = "t", form = "elapsed_s", since_from_path = 'run-(\d{8}-\d{6})' }

A beginning in a path is read by its digits alone, YYYYMMDDhhmmss, by the clock of `time_zone`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from telemetry.readings.mapping import DIRECTIVE, DIRECTIVES, ELAPSED, FORMS, ColumnMapping
from telemetry.settings.toml_lines import MistakeError

KEYS = ("column", "form", "since", "since_from_path")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Each day has one of each of these, or it is not told from others.
DATE = ("Yy", "mb", "d", "HI")


@dataclass(frozen=True, slots=True)
class Times:
    """The columns of the time, the form in which they write it, and where elapsed times begin."""

    columns: tuple[str, ...]
    form: str
    since_us: int | None = None
    since_from_path: str = ""


def times(table: Mapping[str, Any], zone: str) -> Times | None:
    """What a table says of times, None where it does not. `zone` is its time zone, "" for none. Raises MistakeError."""
    said = table.get("time")
    if said is None:
        return None
    if not isinstance(said, dict) or not {"column", "form"} <= said.keys():
        raise MistakeError('time must be a table such as { column = "timestamp", form = "epoch_s" }', "time")
    if unknown := [name for name in said if name not in KEYS]:
        raise MistakeError(f"time has an unknown key {unknown[0]!r}; the keys are {', '.join(KEYS)}", "time", unknown[0])
    columns = said["column"] if isinstance(said["column"], list) else [said["column"]]
    if not columns or not all(isinstance(each, str) and each for each in columns):
        raise MistakeError("column of time must be the name of a column, or a list of names", "time", "column")
    form = _form(said["form"])
    if ColumnMapping(tuple(columns), form, ()).needs_zone and not zone:
        raise MistakeError(
            f"times of the form {form!r} carry no zone: say it with time_zone, such as 'Europe/Berlin'", "time", "form"
        )
    result = Times(tuple(columns), form, _since(said, zone), _since_from_path(said, zone))
    if (form in ELAPSED) != (result.since_us is not None or bool(result.since_from_path)):
        raise MistakeError("since, or since_from_path, says when an elapsed time began; other forms have none", "time", "form")
    return result


def since_in_path(times: Times, path: str, zone: str) -> int | None:
    """Where elapsed times begin by the path of a file, in microseconds since 1970; None if it does not say."""
    match = re.search(times.since_from_path, path)
    digits = re.sub(r"\D", "", match[1] or "") if match else ""
    try:
        return _instant_us(datetime.strptime(digits, "%Y%m%d%H%M%S"), zone)  # noqa: DTZ007 - it gets its zone there
    except ValueError:
        return None


def _form(form: Any) -> str:
    if form in FORMS:
        return str(form)
    if not isinstance(form, str) or "%" not in form:
        raise MistakeError(f"form must be one of {', '.join(FORMS)}, or a pattern such as %d.%m.%Y %H:%M:%S", "time", "form")
    letters = DIRECTIVE.findall(form)
    if wrong := [letter for letter in letters if letter not in DIRECTIVES or not letter]:
        allowed = ", ".join(f"%{letter}" for letter in DIRECTIVES)
        raise MistakeError(f"form has %{wrong[0]}; what may stand there is {allowed}", "time", "form")
    parts = [letter for letter in letters if letter != "%"]
    if len(set(parts)) < len(parts) or any(sum(letter in each for letter in parts) != 1 for each in DATE):
        raise MistakeError("form must have year, month, day and hour once each, such as %Y-%m-%d %H:%M:%S", "time", "form")
    if ("p" in parts) != ("I" in parts) or ("S" in parts and "M" not in parts) or ("f" in parts and "S" not in parts):
        raise MistakeError("form must have %p with %I, %M with %S, and %S with %f", "time", "form")
    return form


def _since(said: Mapping[str, Any], zone: str) -> int | None:
    since = said.get("since")
    if since is None:
        return None
    try:
        moment = since if isinstance(since, datetime) else datetime.fromisoformat(since)
        return _instant_us(moment, zone)
    except (TypeError, ValueError):
        raise MistakeError(
            "since must be a time with its zone, such as 2026-11-05T10:00:00Z, or one that comes once in time_zone",
            "time",
            "since",
        ) from None


def _since_from_path(said: Mapping[str, Any], zone: str) -> str:
    pattern = said.get("since_from_path", "")
    try:
        groups = re.compile(pattern).groups if pattern else 1
    except (re.error, TypeError):
        groups = 0
    if groups != 1:
        raise MistakeError(
            "since_from_path must be a regular expression with one group (…), the time", "time", "since_from_path"
        )
    if pattern and (not zone or "since" in said):
        raise MistakeError("since_from_path needs time_zone, and no since beside it", "time", "since_from_path")
    return str(pattern)


def _instant_us(moment: datetime, zone: str) -> int:
    """Microseconds since 1970. Raises ValueError for a time that carries no zone and comes never or twice in that one."""
    if moment.tzinfo is None:
        if not zone:
            raise ValueError
        moments = {moment.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1)}
        if len(moments) > 1:
            raise ValueError
        moment = moments.pop()
    return (moment - EPOCH) // timedelta(microseconds=1)
