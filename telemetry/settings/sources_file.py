"""The file that says of sources what their bytes do not: TOML, a table `[[source]]` for each pattern of paths.

    [[source]]
    path = "/var/log/gpu/*.csv"
    time_zone = "Europe/Berlin"
    host = "node-7"

The first table whose `path` matches a file is its; `*` in it stands for any characters, slashes too. Which keys there are is
said by `Rule`, and what they do by `telemetry.readings.source_settings`. `host_from_path` is a regular expression whose one
group, found in the path, is the host; so is `date_from_path` for the date, in eight digits with dashes or without. In `host`,
{node} stands for the node in the edge's name.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from telemetry.readings.source_settings import NO_SETTINGS, SourceSettings

NODE = "{node}"
DATE = re.compile(r"\d{4}(-?)\d\d\1\d\d", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rule:
    """What one table says of the files whose path matches."""

    path: str
    time_zone: str = ""
    host: str = ""
    host_from_path: str = ""
    gpu_index: int | None = None
    header: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    keep_exporter: bool = False
    date: str = ""
    date_from_path: str = ""

    def of(self, path: str, node: str) -> SourceSettings:
        """The settings of a file that matches, where the edge is of this node."""
        found = re.search(self.host_from_path, path) if self.host_from_path else None
        host = (found and found[1]) or self.host.replace(NODE, node)
        dated = re.search(self.date_from_path, path) if self.date_from_path else None
        day = _date((dated and dated[1]) or self.date)
        return SourceSettings(self.time_zone, host, self.gpu_index, self.header, self.labels, self.keep_exporter, day)


Rules = tuple[Rule, ...]


@lru_cache(maxsize=100_000)
def source_settings(rules: Rules, path: str, node: str) -> SourceSettings:
    """What is said of the file at a path, by the first rule that matches it, on an edge of this node."""
    return next((rule.of(path, node) for rule in rules if fnmatchcase(path, rule.path)), NO_SETTINGS)


def parse(raw: str) -> Rules:
    """The rules in the file at a path, none for an empty text. Raises ValueError."""
    if not raw.strip():
        return ()
    path = Path(raw.strip()).expanduser()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from None
    tables = document.pop("source", [])
    if document or not isinstance(tables, list):
        raise ValueError(f"{path} may have tables [[source]] alone, not {', '.join(document) or 'one named source'}")
    return tuple(_rule(table, f"{path}: source {number}") for number, table in enumerate(tables, 1))


def _rule(table: Mapping[str, Any], where: str) -> Rule:
    if not isinstance(table, dict):
        raise ValueError(f"{where} must be a table [[source]]")  # noqa: TRY004 - parsers raise ValueError
    known = [field.name for field in fields(Rule)]
    if unknown := [name for name in table if name not in known]:
        raise ValueError(f"{where} has an unknown key {unknown[0]!r}; the keys are {', '.join(known)}")
    # TOML has dates of its own.
    table = {name: value.isoformat() if isinstance(value, date) else value for name, value in table.items()}
    texts = {name: value for name, value in table.items() if name not in ("gpu_index", "labels", "keep_exporter")}
    if wrong := [name for name, value in texts.items() if not isinstance(value, str) or not value]:
        raise ValueError(f"{where}: {wrong[0]} must be a text that is not empty")
    if "path" not in table:
        raise ValueError(f"{where} has no path, the pattern of the files it is about")
    index = table.get("gpu_index")
    if index is not None and (not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < 10**9):
        raise ValueError(f"{where}: gpu_index must be a whole number from 0 on")
    keep = table.get("keep_exporter", False)
    if keep is not True and keep is not False:
        raise ValueError(f"{where}: keep_exporter must be true or false")
    labels = table.get("labels", {})
    if not isinstance(labels, dict) or not all(isinstance(value, str) and value for value in labels.values()):
        raise ValueError(f"{where}: labels must be a table of texts")
    _check_zone(texts.get("time_zone", "UTC"), where)
    for name in ("host_from_path", "date_from_path"):
        _check_pattern(texts.get(name, "()"), name, where)
    if "date" in texts and not _date(texts["date"]):
        raise ValueError(f"{where}: date {texts['date']!r} is no date such as 2026-11-05")
    return Rule(**texts, gpu_index=index, labels=tuple(sorted(labels.items())), keep_exporter=keep)


def _check_zone(name: str, where: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{where}: time_zone {name!r} is no zone of the IANA database, such as Europe/Berlin or UTC") from None


def _date(text: str) -> str:
    """A date with its dashes, empty for a text that is none."""
    try:
        return date.fromisoformat(text).isoformat() if DATE.fullmatch(text) else ""
    except ValueError:
        return ""


def _check_pattern(pattern: str, name: str, where: str) -> None:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"{where}: {name} is no regular expression: {error}") from None
    if groups != 1:
        raise ValueError(f"{where}: {name} must have one group (…), what it looks for")
