"""What an edge reports of the bytes of its sources: those that it holds for committed, and those that it has lost.

`progress` reads the reports from the broker, and the gap audit of the store compares them with the ledger.
"""

from __future__ import annotations

from typing import NamedTuple


class Committed(NamedTuple):
    """Bytes [begin, end) of a source that its edge holds for committed. `anchor` is the replay pass, or None."""

    edge: str
    fingerprint: str
    path: str
    anchor: int | None
    begin: int
    end: int


class Lost(NamedTuple):
    """Bytes [start, end) of files of one fingerprint that their edge has recorded as lost."""

    edge: str
    fingerprint: str
    start: int
    end: int
