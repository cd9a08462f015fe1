"""What a streamer knows of a source before it has read any of it. What changes while it is read is filled in by `stream`."""

from __future__ import annotations

from telemetry.progress.state import FirstRecord, Prefix, SourceState
from telemetry.progress.window import Window
from telemetry.streamer.source import SourceFile


def first_state(source: SourceFile, window: Window, prefix: Prefix, interpretation: str) -> SourceState:
    """The state of a source whose window, prefix and interpretation are given."""
    head = source.head
    return SourceState(
        path=str(source.path),
        fingerprint=head.fingerprint,
        foreign=head.format is None,
        miss=head.miss,
        header=head.header.decode() if head.is_inherited else "",
        inode=source.inode(),
        first_record=FirstRecord(head.first.offset, head.first.line),
        size_bytes=0,
        window=window,
        rows_read=0,
        prefix=prefix,
        interpretation=interpretation,
        anchor_us=None,
    )
