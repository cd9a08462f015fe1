"""Reads a TOML file that a setting names. What it may say is its readers': `sources_file`, `rates_file`, `groups_file`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from telemetry.settings import parsers


class TomlFile(NamedTuple):
    """A file: its path, its text, and what TOML says it means."""

    path: Path
    text: str
    document: dict[str, Any]


def read(raw: str) -> TomlFile:
    """The file at a path. Raises ValueError, whose text names the file and what is wrong."""
    path = parsers.path(raw)
    try:
        text = path.read_text(encoding="utf-8")
        return TomlFile(path, text, tomllib.loads(text))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from None
    except RecursionError:
        raise ValueError(f"{path} is not TOML that can be read: it is nested too deeply") from None
