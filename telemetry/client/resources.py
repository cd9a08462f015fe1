"""The lists of the API by name, and paths of one thing."""

from __future__ import annotations

import re
from difflib import get_close_matches
from urllib.parse import quote

# A test compares them with the API's specification.
LISTS = (
    "audit",
    "batches",
    "dead-letters",
    "disputes",
    "edges",
    "events",
    "gpus",
    "health",
    "health/findings",
    "health/hosts",
    "hosts",
    "latest",
    "metrics",
    "conflicts",
    "quarantine",
    "query",
    "readings",
    "sources",
    "usage",
)
OF_A_GPU = re.compile(r"gpus/.+/(telemetry|metrics|allocations)")


def part(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


def telemetry_of(gpu: str) -> str:
    """The path of the readings of a GPU."""
    return f"gpus/{part(gpu)}/telemetry"


def checked(resource: str) -> str:
    """The path of a list under /api/v1. Raises ValueError for a name that is none, with the nearest one that is."""
    if resource in LISTS or OF_A_GPU.fullmatch(resource):
        return resource
    near = get_close_matches(resource.lower().replace("_", "-"), LISTS, n=1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    of_gpu = "gpus/…/telemetry, gpus/…/allocations and gpus/…/metrics"
    raise ValueError(f"there is no list {resource!r}; {meant}There are {', '.join(LISTS)}, {of_gpu}")
