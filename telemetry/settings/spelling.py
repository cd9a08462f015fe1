"""Finds variables of the environment that were meant as a setting and are misspelt."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Mapping
from dataclasses import fields
from functools import cache

from telemetry.settings.fields import Settings
from telemetry.settings.load import PREFIX, variable

# Of difflib: from here on two names are taken for the same one.
SIMILARITY = 0.85


def misspelt(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """Variables that look like a setting and are not one, each with the setting that it is closest to.

    Only near misses are reported: Kubernetes itself puts variables with our prefix into pods beside a Service of that name.
    """
    settings = [variable(item) for item in fields(Settings)]
    settings += [f"{variable(item)}_FILE" for item in fields(Settings) if item.metadata["secret"]]
    pairs = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in settings:
            pairs += [(name, close) for close in difflib.get_close_matches(name, settings, n=1, cutoff=SIMILARITY)]
    return pairs


@cache
def tell_misspelt() -> None:
    """Name the misspelt variables on standard error, once in a process."""
    for name, close in misspelt(os.environ):
        sys.stderr.write(f"telemetry: {name} is not a setting; did you mean {close}?\n")
