"""The file of groups: TOML, by which the groups of a person say what they may do at the page.

[groups.gpu-admins]
scopes = ["admin"]

[groups."/teams/vision"]
scopes = ["read"]                # "read" unless given
namespaces = ["vision", "vision-dev"]   # nothing but usage, allocations and events of these; all of the fleet unless given

They are those of API keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telemetry.settings import toml_file

KEYS = ("scopes", "namespaces")
SCOPES = ("read", "ingest", "admin")
EXAMPLE = 'such as [groups.gpu-users] and below it scopes = ["read"]'


@dataclass(frozen=True, slots=True)
class Rights:
    """What the members of a group may do. They see its `namespaces` alone; all, if it has none."""

    group: str
    scopes: tuple[str, ...]
    namespaces: tuple[str, ...] = ()


def parse(raw: str) -> tuple[Rights, ...]:
    """The groups in the file at a path, () for an empty text. Raises ValueError."""
    if not raw.strip():
        return ()
    path, _, document = toml_file.read(raw)
    if unknown := [name for name in document if name != "groups"]:
        raise ValueError(f"{path} has an unknown key {unknown[0]!r}; it has tables of groups, {EXAMPLE}")
    groups = document.get("groups")
    if not isinstance(groups, dict) or not groups:
        raise ValueError(f"{path} must name a group, {EXAMPLE}")
    return tuple(_rights(path, group, table) for group, table in groups.items())


def _rights(path: Path, group: str, table: Any) -> Rights:
    if not isinstance(table, dict):
        raise ValueError(f"{path}: {group!r} must be a table, {EXAMPLE}")  # noqa: TRY004 - it is the file's
    if unknown := [name for name in table if name not in KEYS]:
        raise ValueError(f"{path}: {group!r} has an unknown key {unknown[0]!r}; the keys are {', '.join(KEYS)}")
    scopes, namespaces = (
        _texts(path, group, name, table.get(name, usual)) for name, usual in zip(KEYS, (["read"], []), strict=True)
    )
    if unknown := [scope for scope in scopes if scope not in SCOPES]:
        raise ValueError(f"{path}: {group!r} has an unknown scope {unknown[0]!r}; the scopes are {', '.join(SCOPES)}")
    if not scopes:
        raise ValueError(f"{path}: {group!r} has no scope; give one of {', '.join(SCOPES)}, or leave the group out")
    if namespaces and scopes != ("read",):
        raise ValueError(f'{path}: {group!r} is bound to namespaces and can only read: give scopes = ["read"]')
    return Rights(group, scopes, namespaces)


def _texts(path: Path, group: str, name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) and text.strip() for text in value):
        raise ValueError(f'{path}: {name} of {group!r} must be a list of texts, such as ["read"]')
    return tuple(sorted(set(value)))
