"""The file that says of sources what their bytes do not: TOML, a table `[[source]]` for each pattern of paths.

    [[source]]
    path = "/var/log/gpu/*.csv"
    time_zone = "Europe/Berlin"
    host = "node-7"

The first table whose `path` matches a file is its; `*` in it stands for any characters, slashes too. Which keys there are is
said by `Rule` and, of a wide file, by `mappings`; what they do is said by `telemetry.readings.source_settings`.
`host_from_path` is a regular expression whose one group, found in the path, is the host; so is `date_from_path` for the date,
in eight digits with dashes or without. In `host`, {node} stands for the node in the edge's name. A mistake is told with its
line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from telemetry.readings.mapping import ColumnMapping
from telemetry.readings.source_settings import NO_SETTINGS, SourceSettings
from telemetry.settings import mappings, toml_file
from telemetry.settings.times import Times, since_in_path, times
from telemetry.settings.toml_lines import MistakeError, line_of

NODE = "{node}"
DATE = re.compile(r"\d{4}(-?)\d\d\1\d\d", re.ASCII)
PATTERNS = ("host_from_path", "date_from_path")
TEXTS = ("path", "time_zone", "host", "date", *PATTERNS, "header")
KEYS = (*TEXTS, "gpu_index", "labels", "keep_exporter", *mappings.KEYS)


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
    mapping: ColumnMapping | None = None
    times: Times | None = None

    def of(self, path: str, node: str) -> SourceSettings:
        """The settings of a file that matches, where the edge is of this node."""
        host_match = re.search(self.host_from_path, path) if self.host_from_path else None
        host = (host_match and host_match[1]) or self.host.replace(NODE, node)
        dated = re.search(self.date_from_path, path) if self.date_from_path else None
        day = _date((dated and dated[1]) or self.date)
        mapping = self.mapping
        if mapping and self.times and self.times.since_from_path:
            mapping = replace(mapping, since_us=since_in_path(self.times, path, self.time_zone))
        said = (self.time_zone, host, self.gpu_index, self.header, self.labels, self.keep_exporter, mapping)
        return SourceSettings(*said, date=day)


Rules = tuple[Rule, ...]


@lru_cache(maxsize=100_000)
def source_settings(rules: Rules, path: str, node: str) -> SourceSettings:
    """What is said of the file at a path, by the first rule that matches it, on an edge of this node."""
    return next((rule.of(path, node) for rule in rules if fnmatchcase(path, rule.path)), NO_SETTINGS)


def parse(raw: str) -> Rules:
    """The rules in the file at a path, none for an empty text. Raises ValueError."""
    if not raw.strip():
        return ()
    path, text, document = toml_file.read(raw)
    tables = document.pop("source", [])
    if document or not isinstance(tables, list):
        raise ValueError(f"{path} may have tables [[source]] alone, not {', '.join(document) or 'one named source'}")
    rules = []
    for number, table in enumerate(tables, 1):
        try:
            rules.append(_rule(table))
        except MistakeError as mistake:
            raise ValueError(f"{path}, line {line_of(text, number, mistake.keys)}, source {number}: {mistake}") from None
    return tuple(rules)


def _rule(table: Mapping[str, Any]) -> Rule:
    if not isinstance(table, dict):
        raise MistakeError("it must be a table [[source]]")
    if unknown := [name for name in table if name not in KEYS]:
        raise MistakeError(f"unknown key {unknown[0]!r}; the keys are {', '.join(KEYS)}", unknown[0])
    texts = {name: table[name] for name in TEXTS if name in table}
    # TOML has dates of its own.
    texts = {name: value.isoformat() if isinstance(value, date) else value for name, value in texts.items()}
    if wrong := [name for name, value in texts.items() if not isinstance(value, str) or not value]:
        raise MistakeError(f"{wrong[0]} must be a text that is not empty", wrong[0])
    if "path" not in table:
        raise MistakeError("it has no path, the pattern of the files it is about")
    index = table.get("gpu_index")
    if index is not None and (not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < 10**9):
        raise MistakeError("gpu_index must be a whole number from 0 on", "gpu_index")
    keep = table.get("keep_exporter", False)
    if keep is not True and keep is not False:
        raise MistakeError("keep_exporter must be true or false", "keep_exporter")
    labels = table.get("labels", {})
    if not isinstance(labels, dict) or not all(isinstance(value, str) and value for value in labels.values()):
        raise MistakeError("labels must be a table of texts", "labels")
    zone = texts.get("time_zone", "")
    _check_zone(zone or "UTC")
    for name in PATTERNS:
        _check_pattern(texts.get(name, "()"), name)
    if "date" in texts and not _date(texts["date"]):
        raise MistakeError(f"date {texts['date']!r} is no date such as 2026-11-05", "date")
    said = times(table, zone)
    mapping = mappings.column_mapping(table, said)
    return Rule(**texts, gpu_index=index, labels=tuple(sorted(labels.items())), keep_exporter=keep, mapping=mapping, times=said)


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise MistakeError(
            f"time_zone {name!r} is no zone of the IANA database, such as Europe/Berlin or UTC", "time_zone"
        ) from None


def _date(text: str) -> str:
    """A date with its dashes, empty for a text that is none."""
    try:
        return date.fromisoformat(text).isoformat() if DATE.fullmatch(text) else ""
    except ValueError:
        return ""


def _check_pattern(pattern: str, name: str) -> None:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise MistakeError(f"{name} is no regular expression: {error}", name) from None
    if groups != 1:
        raise MistakeError(f"{name} must have one group (…), what it looks for", name)
