"""Who gets credentials: one edge (`cluster/node`), or all edges of a cluster (`cluster`), whose pods share one Secret."""

from __future__ import annotations

from telemetry.readings.names import CHARACTERS, MAX_EDGE


def parse(text: str) -> str:
    """The name of a holder. Raises ValueError for a text that is not such a name."""
    cluster, slash, node = text.partition("/")
    is_named = cluster and (node or not slash)
    if not is_named or not all(letter.isascii() and (letter.isalnum() or letter in CHARACTERS) for letter in text):
        raise ValueError(f"{text!r} must read cluster or cluster/node, of letters, digits, '-', '_' and '.'")
    if len(text) > MAX_EDGE:
        raise ValueError(f"is {len(text)} characters long, the limit is {MAX_EDGE}")
    return text


def covers(holder: str, edge: str) -> bool:
    """Whether credentials of a holder are good for an edge."""
    return edge == holder if "/" in holder else edge.startswith(f"{holder}/")


def pattern(holder: str) -> str:
    """The edges of a holder in a pattern of Redis."""
    return holder if "/" in holder else f"{holder}/*"
