"""Sets a source back to what the ledger holds: after Postgres was restored, edges believe more to be committed than is."""

from __future__ import annotations

from collections.abc import Iterable

import redis
from msgspec.structs import replace

from telemetry.progress.acks import Held
from telemetry.progress.keys import Keys
from telemetry.progress.losses import merged
from telemetry.progress.state import Prefix, SourceState, encode
from telemetry.progress.window import Window
from telemetry.readings.digests import digest

# KEYS: source, acks. ARGV: state. The token grows, so whoever holds the source finds it taken.
OVERWRITE = """
redis.call('HINCRBY', KEYS[1], 'token', 1)
redis.call('HSET', KEYS[1], 'lease_until_ms', 0, 'state', ARGV[1])
redis.call('DEL', KEYS[2])
"""


def rewound(state: SourceState, ledger: Iterable[tuple[int, int, int]]) -> SourceState:
    """The state of a source as the ledger justifies it. `ledger`: start, end (bytes) and first line of what it holds.

    If the ledger ends before the committed offset, that becomes the beginning of the last range of the contiguous prefix,
    as the line behind that range is not known: one batch is published again, and the ledger knows it. The flights go in
    any case: some of them may be marked as acknowledged for commits that the database has forgotten.
    """
    begin, first_line = state.first_record
    last = (begin, begin, first_line)
    for start, end, line in sorted(ledger):
        if start > last[1]:
            break
        if end > last[1]:
            last = (start, end, line)
    start, end, line = last
    return set_back(state, Held(end, start, line, end))


def set_back(state: SourceState, held: Held) -> SourceState:
    """The state of a source of which the ledger holds so much, without what is in flight."""
    former = state.window
    if held.end >= former.committed:
        return replace(state, window=Window(former.committed, former.line, header=former.header))
    return replace(state, window=Window(held.start, held.line), prefix=Prefix(held.start, held.start, digest(b"")))


def forgotten_of(window: Window, held: Held) -> list[tuple[int, int]]:
    """The bytes that a window counts as acknowledged, and of which the ledger holds only so much."""
    acked = ((flight.start, flight.end) for flight in window.flights if flight.acked)
    return merged([(min(held.end, window.committed), window.committed), *acked])


def overwrite(client: redis.Redis, keys: Keys, edge: str, source_id: str, state: SourceState) -> None:
    """Give a source another state, whoever holds it; the holder notices it at its next save."""
    client.eval(OVERWRITE, 2, keys.source(edge, source_id), keys.acks(edge, source_id), encode(state))
