"""Where a streamer begins with a source: by its first state, or by a former one that it can go on from.

What changes of a state while the source is read is filled in by `stream`.
"""

from __future__ import annotations

from telemetry.progress.state import FirstRecord, Prefix, SourceState
from telemetry.progress.window import NOT_KNOWN, Window
from telemetry.readings.extent import Place
from telemetry.streamer.batching import Cutter
from telemetry.streamer.source import SourceFile
from telemetry.streamer.verified import Verified

# To learn which header is in force takes a look at all of a file: of a longer one, to read it again takes no longer.
MAX_LOOK_BYTES = 64 << 20


def goes_on(state: SourceState, source: SourceFile, *, replays: bool, is_there: bool) -> bool:
    """Whether a state is one to go on from: of this mode, and not of a file that nobody knew how to read before.

    `is_there`: the file can still be read.
    """
    is_read_first_now = state.foreign and source.head.format is not None
    is_long = state.window.header == NOT_KNOWN and state.window.committed > MAX_LOOK_BYTES and is_there
    return (state.anchor_us is not None) == replays and not is_read_first_now and not is_long


def read_otherwise(state: SourceState, cutter: Cutter, verified: Verified) -> Window | None:
    """The window to go on with in place of a state's, where its flights cannot be cut again: read otherwise, they are others.

    None if they can, or if the bytes that were read are no longer there.
    """
    window, is_other = state.window, state.interpretation not in {None, cutter.interpretation()}
    if not (is_other or window.header == NOT_KNOWN) or not verified.is_intact():
        return None
    header = cutter.header_at(window.committed) if window.header == NOT_KNOWN else window.header
    return Window.at(Place(window.committed, window.line, header))


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
        packed=source.version,
    )
