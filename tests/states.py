"""States of sources, as streamers keep them."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from telemetry.progress.state import FirstRecord, Inode, Prefix, SourceState
from telemetry.progress.window import Window

STATE = SourceState(
    path="/var/dumps/a.csv",
    fingerprint="f",
    foreign=False,
    inode=Inode(1, 2),
    first_record=FirstRecord(10, 2),
    size_bytes=90,
    window=Window(90, 12),
    rows_read=10,
    prefix=Prefix(0, 90, "x"),
    anchor_us=None,
)


def source_state(**changes: Any) -> SourceState:
    """A state of a file that is committed, but for some changes."""
    return replace(STATE, **changes)
