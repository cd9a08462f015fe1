"""How a row of the quarantine is read today: by the header and the settings of its source, as its edge reads it.

Rows have no header, so what the edges keep of their sources is asked for it. A row whose header is not known for certain is
not read: nothing is read by a header that is not its own. What becomes of the readings is `quarantine_retry`'s.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from telemetry.formats.base import Format, Limits, Pass
from telemetry.formats.headers import header_in
from telemetry.progress.state import SourceState
from telemetry.readings.rows import MAX_KEPT_BYTES, Readings
from telemetry.settings import Settings

# What of an interpretation are limits, which an operator may have changed since, or the mark of an inherited header.
LIMITS = re.compile(r";(?:floor|future|series|record|header)=[^;]*")


class UnreadableError(Exception):
    """The rows of a source cannot be read here; the text says why, and what mends it."""


@dataclass(frozen=True, slots=True)
class Reader:
    """The rows of one source behind byte `after`, where its header stands."""

    known: Format
    limits: Limits
    max_record: int
    after: int

    def read(self, raw: bytes, offset: int, line: int, now_us: int) -> Readings | None:
        """What a row says today; None if only a part of it was kept, or it stood before the header."""
        if len(raw) >= MAX_KEPT_BYTES or offset < self.after:
            return None
        block = raw + b"\n"
        taken = self.known.split(block, limit=2, max_record=self.max_record, final=True)
        if taken.rows != 1 or taken.end != len(block):
            return None
        return self.known.read(taken, block, Pass(self.limits, now_us)).readings(offset, line)


def reader_of(settings: Settings, edge: str, state: SourceState | None, header: bytes) -> Reader:
    """How rows of a source are read: `state` is what its edge keeps of it, `header` the one in force at its path.

    Raises UnreadableError.
    """
    if state is None:
        raise UnreadableError("no edge knows the file any more, so its header is not known")
    if state.anchor_us is not None:
        raise UnreadableError("it is replayed, and its times are not those of its rows")
    at = state.window.flights[-1].end_header if state.window.flights else state.window.header
    if at < 0:
        raise UnreadableError("its header is being looked for; try again in a minute")
    line = (state.header.encode() or header).partition(b"\n")[0]
    said = replace(settings, edge=edge).of_source(state.path)
    heading = header_in(line + b"\n", said) if line else None
    if heading is None or heading.format is None:
        raise UnreadableError("its header is not known" if not line else "no format knows its header")
    if heading.format.counts_days:
        raise UnreadableError("its times carry no date; telemetry ingest reads the file again as a whole")
    floor_us = int(settings.timestamp_floor.timestamp()) * 1_000_000
    limits = Limits(floor_us, settings.future_limit_s * 1_000_000, settings.max_series)
    here = LIMITS.sub("", heading.format.interpretation(limits))
    there = LIMITS.sub("", state.interpretation or "")
    if not at and here != there:
        raise UnreadableError(f"its edge reads it as {there or 'nothing'}, this machine as {here}: give both the same settings")
    return Reader(heading.format, limits, settings.max_record_bytes, at)
