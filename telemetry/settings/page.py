"""The page about all settings, `docs/SETTINGS.md`: a heading for each section, a row for each variable.

`scripts/document` writes it; a test fails when it is out of date.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from itertools import groupby
from typing import Any

from telemetry.settings.fields import Settings
from telemetry.settings.load import variable

HEAD = """\
# Settings

Every process reads them once, at its start, from the environment. A value that cannot be used ends the process with
one line that names the variable. Those marked *secret* may also be given as a file: `TELEMETRY_…_FILE` names it, and
its content without surrounding white space is the value.
"""


def documentation() -> str:
    """The page in Markdown."""
    return HEAD + "".join(_section(title, list(items)) for title, items in groupby(fields(Settings), _title))


def _title(item: Field[Any]) -> str:
    title: str = item.metadata["section"]
    return title


def _section(title: str, items: list[Field[Any]]) -> str:
    return "\n".join(["", f"## {title}", "", "| variable | default | meaning |", "| --- | --- | --- |", *_rows(items), ""])


def _rows(items: list[Field[Any]]) -> Iterator[str]:
    for item in items:
        default = "" if item.default in {MISSING, None, ()} else item.default
        shown = ", ".join(default) if isinstance(default, tuple) else str(default)
        secret = " *Secret.*" if item.metadata["secret"] else ""
        yield f"| `{variable(item)}` | {f'`{shown}`' if shown else ''} | {item.metadata['doc']}{secret} |"
