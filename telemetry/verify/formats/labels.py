"""The `labels_raw` cell to a dict, and the digest of a set of labels. Which labels last is left to the readers."""

from __future__ import annotations

import hashlib
import json
import re

_PAIR = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_.]*)="((?:[^"\\]|\\[\\"n])*+)"[ \t]*')
_BRACES = re.compile(r"[ \t]*\{(.*)\}[ \t]*", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)")


def parse(raw: str) -> dict[str, str] | None:
    """The pairs of a `labels_raw` cell; None unless it is a list of `name="value"` pairs."""
    labels: dict[str, str] = {}
    braces = _BRACES.fullmatch(raw)
    raw = braces[1] if braces else raw
    at = 0
    while raw[at:].strip(" \t"):
        pair = _PAIR.match(raw, at)
        if pair is None:
            return None
        labels[pair[1]] = _ESCAPE.sub(lambda escape: "\n" if escape[1] == "n" else escape[1], pair[2])
        at = pair.end()
        if at < len(raw):
            if raw[at] != ",":
                return None
            at += 1
    return labels


def digest(labels: dict[str, str]) -> bytes:
    """What the database knows a set of lasting labels by."""
    document = json.dumps(labels, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.blake2b(document.encode(), digest_size=16).digest()
