"""Sets a source back to what the ledger holds: after Postgres was restored, edges believe more to be committed than is."""

from __future__ import annotations

from collections.abc import Iterable

import redis
from msgspec.structs import replace

from telemetry.progress.keys import Keys
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
    former = state.window
    if end >= former.committed:
        return replace(state, window=Window(former.committed, former.line, header=former.header))
    return replace(state, window=Window(start, line), prefix=Prefix(start, start, digest(b"")))


def overwrite(client: redis.Redis, keys: Keys, edge: str, source_id: str, state: SourceState) -> None:
    """Give a source another state, whoever holds it; the holder notices it at its next save."""
    client.eval(OVERWRITE, 2, keys.source(edge, source_id), keys.acks(edge, source_id), encode(state))
