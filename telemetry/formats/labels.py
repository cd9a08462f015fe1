"""Prometheus label sets as text: `name="value"` pairs, as dcgm-exporter dumps them in `labels_raw`, in braces or not.

Another reading of a label set is a change of meaning: raise the versions as `telemetry.formats.base` says.
"""

from __future__ import annotations

import re
from functools import lru_cache

PAIR = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_.]*)="((?:[^"\\]|\\[\\"n])*)"[ \t]*(?:,[ \t]*|$)')
ESCAPE = re.compile(r"\\(.)")


@lru_cache(maxsize=4096)
def parse(text: str) -> dict[str, str] | None:
    """The pairs of a label set, None for any other text. Treat the result as read-only: it is cached."""
    pairs: dict[str, str] = {}
    text = text.strip(" \t")
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    at = len(text) - len(text.lstrip(" \t"))
    while at < len(text):
        match = PAIR.match(text, at)
        if match is None:
            return None
        name, value = match.groups()
        pairs[name] = ESCAPE.sub(_unescaped, value) if "\\" in value else value
        at = match.end()
    return pairs


def _unescaped(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]
