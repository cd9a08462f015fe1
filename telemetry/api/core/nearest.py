"""The names that a wrong name may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

SHOWN = 3


def nearest(text: str, names: Iterable[str]) -> list[str]:
    """Up to SHOWN of some names, the nearest first: those that contain the text or stand in it, then those spelled alike.

    Case does not matter.
    """
    folded = {name.lower(): name for name in names}
    low = text.lower()
    parts = sorted((name for name in folded if low in name or name in low), key=lambda name: abs(len(name) - len(low)))
    alike = get_close_matches(low, [name for name in folded if name not in parts], n=SHOWN)
    return [folded[name] for name in [*parts, *alike][:SHOWN]]


def in_words(names: list[str]) -> str:
    """Names as the end of a sentence about a name that does not exist; empty if there are none."""
    return f"; did you mean {' or '.join(names)}?" if names else ""
