"""What a streamer does with the sources of its edge: claims them, saves their states, gives them up.

A source is one hash, changed by compare-and-set on a fencing token. A streamer claims a source before it works on it and
holds it by a lease. The next claim gets a larger token, and from then on what the former owner tries to save is refused. All
times are the broker's, so no replica's clock matters. Reading without a claim is `reading`'s, the document is `state`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import redis

from telemetry.progress import reading, state
from telemetry.progress.keys import Keys
from telemetry.progress.state import SourceState, StateError
from telemetry.readings.digests import digest

# A source nobody has touched for so long is forgotten; should its file come back, it is read again.
REMEMBER_S = 90 * 86_400

# KEYS: source, sources, edges. ARGV: owner, lease in ms, remember in s, source id, edge, state if there is none.
# A lease that ends later than one that begins now says that the broker's clock was set back; it counts as over.
CLAIM = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'owner', 'lease_until_ms')
local left = tonumber(held[2] or 0) - now
if held[1] and held[1] ~= ARGV[1] and left > 0 and left <= tonumber(ARGV[2]) then return false end
local token = redis.call('HINCRBY', KEYS[1], 'token', 1)
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'lease_until_ms', now + ARGV[2])
redis.call('HDEL', KEYS[1], 'mark')
if ARGV[6] ~= '' then redis.call('HSETNX', KEYS[1], 'state', ARGV[6]) end
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('SADD', KEYS[2], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[3])
redis.call('SADD', KEYS[3], ARGV[5])
return {token, redis.call('HGET', KEYS[1], 'state')}
"""

# KEYS: source, acks. ARGV: token, lease in ms, remember in s, state or nothing to keep the one that is there, owner, mark, and
# the acknowledgements whose effect the state holds. Answers the mark that was there, too.
SAVE = """
local held = redis.call('HMGET', KEYS[1], 'token', 'owner', 'mark')
if not held[1] then return {'gone', ''} end
if held[1] ~= ARGV[1] or held[2] ~= ARGV[5] then return {'taken', ''} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'lease_until_ms', now + ARGV[2], 'mark', ARGV[6])
if ARGV[4] ~= '' then redis.call('HSET', KEYS[1], 'state', ARGV[4]) end
for n = 7, #ARGV do redis.call('HDEL', KEYS[2], ARGV[n]) end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return {'saved', held[3] or ''}
"""

# KEYS: source, acks, sources. ARGV: token, owner, source id.
END = """
local held = redis.call('HMGET', KEYS[1], 'token', 'owner')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
return redis.call('SREM', KEYS[3], ARGV[3])
"""

# KEYS: acks under the old id, under the new one.
MOVE = """
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('RENAME', KEYS[1], KEYS[2]) end
"""

# KEYS: source, sources. ARGV: source id. A source that was claimed a moment ago has no state yet, and is there.
DROP_EXPIRED = """
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('SREM', KEYS[2], ARGV[1]) end
"""

# KEYS: source. ARGV: token.
RELEASE = """
if redis.call('HGET', KEYS[1], 'token') == ARGV[1] then redis.call('HSET', KEYS[1], 'lease_until_ms', 0) end
"""

# KEYS: source, acks, sources. ARGV: source id. Answers who holds it, if somebody does.
FORGET = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'owner', 'lease_until_ms')
if held[1] and tonumber(held[2] or 0) > now then return held[1] end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('SREM', KEYS[3], ARGV[1])
return false
"""

# KEYS: sign, sources. ARGV: patience in ms, remember in s.
EXPECT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[1], string.format('%.0f %.0f', now, now + ARGV[1]), 'EX', ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
"""

Word = Literal["saved", "taken", "gone"]
# Of a source's acknowledgements those that are believed, as they read without their seals.
Believed = Callable[[str, Mapping[str, str]], dict[str, str]]


class Saved(NamedTuple):
    """What became of a save: it was done, another streamer took the source, or the source is gone. `mark`: of the save before.

    A broker that answers another mark than the one that was written last has forgotten all that came after it.
    """

    word: Word
    mark: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A source that is ours until its token grows, and the state it was left in (None for a new one)."""

    source_id: str
    token: int
    state: SourceState | None


def _believe_all(_source_id: str, acks: Mapping[str, str]) -> dict[str, str]:
    return dict(acks)


class Claims:
    """The claims of one owner (a streamer process) on the sources of one edge. `believed` opens its acknowledgements."""

    def __init__(
        self, client: redis.Redis, keys: Keys, edge: str, owner: str, lease_s: int, believed: Believed = _believe_all
    ) -> None:
        self._client = client
        self._believed = believed
        self._keys = keys
        self._edge = edge
        self._owner = owner
        self._lease_ms = lease_s * 1000
        self._claim = client.register_script(CLAIM)
        self._save = client.register_script(SAVE)
        self._release = client.register_script(RELEASE)
        self._expect = client.register_script(EXPECT)
        self._end = client.register_script(END)

    def claim(self, source_id: str, first: SourceState | None = None) -> Claim | None:
        """Take a source; None if another streamer holds it. `first` becomes its state if it has none.

        Raises StateError if the state that is there cannot be read; then the source is given up for a streamer that can.
        """
        keys = [self._keys.source(self._edge, source_id), self._keys.sources(self._edge), self._keys.edges()]
        answer = self._claim(keys, [self._owner, self._lease_ms, REMEMBER_S, source_id, self._edge, _text(first)])
        if not answer:
            return None
        token, document = answer
        claim = Claim(source_id, int(token), None)
        try:
            return replace(claim, state=state.decode(document)) if document else claim
        except StateError:
            self.release(claim)
            raise

    def save(self, claim: Claim, saved: SourceState | None = None, acked: Iterable[str] = (), mark: str = "") -> Saved:
        """Write the state of a claimed source, or only renew the lease. Says if another streamer took it or it is gone.

        `acked` are the acknowledgements whose effect the state holds: they are removed with the same stroke.
        """
        keys = [self._keys.source(self._edge, claim.source_id), self._keys.acks(self._edge, claim.source_id)]
        word, before = self._save(keys, [claim.token, self._lease_ms, REMEMBER_S, _text(saved), self._owner, mark, *acked])
        return Saved(word.decode(), before.decode())

    def release(self, claim: Claim) -> None:
        """Give a source up, so that another streamer need not wait for the lease to end."""
        self._release([self._keys.source(self._edge, claim.source_id)], [claim.token])

    def end(self, claim: Claim) -> None:
        """Remove a claimed source of which nothing is left to read; not if another streamer has taken it."""
        source, acks = self._keys.source(self._edge, claim.source_id), self._keys.acks(self._edge, claim.source_id)
        self._end([source, acks, self._keys.sources(self._edge)], [claim.token, self._owner, claim.source_id])

    def move(self, old: Claim, source_id: str) -> None:
        """Let a claimed source go on under another id, with the acknowledgements that wait for it."""
        self.claim(source_id, old.state)
        self._client.eval(MOVE, 2, self._keys.acks(self._edge, old.source_id), self._keys.acks(self._edge, source_id))
        self.end(old)

    def forget(self, source_id: str) -> None:
        """Remove a source, whoever holds it: it is read again from its beginning."""
        self._client.delete(self._keys.source(self._edge, source_id), self._keys.acks(self._edge, source_id))
        self._client.srem(self._keys.sources(self._edge), source_id)

    def expect(self, patience_s: float) -> None:
        """Announce that this edge is at work, and within how many seconds it will announce it again."""
        self._client.sadd(self._keys.edges(), self._edge)
        self._expect([self._keys.sign(self._edge), self._keys.sources(self._edge)], [round(patience_s * 1000), REMEMBER_S])

    def header(self, path: str) -> bytes:
        """The header by which the last file at a path was read; empty if there is none."""
        header = self._client.get(self._header_key(path))
        return header if isinstance(header, bytes) else b""

    def remember_header(self, path: str, header: bytes) -> None:
        """Remember the header of the file at a path, for one that follows it without a header. An empty one forgets it."""
        if header:
            self._client.set(self._header_key(path), header, ex=REMEMBER_S)
        else:
            self._client.delete(self._header_key(path))

    def has_state(self, source_id: str) -> bool:
        """Whether a source of the edge has a state."""
        return bool(self._client.hexists(self._keys.source(self._edge, source_id), "state"))

    def sources(self) -> dict[str, SourceState]:
        """The states of all sources of the edge, by id."""
        return reading.decoded(self.documents())

    def documents(self) -> dict[str, bytes | None]:
        """The same as they stand in Redis. Ids whose hash has expired are dropped from the set of ids."""
        documents = reading.documents(self._client, self._keys, self._edge)
        for source_id in (source_id for source_id, document in documents.items() if document is None):
            keys = [self._keys.source(self._edge, source_id), self._keys.sources(self._edge)]
            self._client.eval(DROP_EXPIRED, 2, *keys, source_id)
        return documents

    def signals(self, source_ids: Iterable[str]) -> reading.Signals:
        """What the broker says of some sources, with those acknowledgements that are believed: see `reading.signals`."""
        signals = reading.signals(self._client, self._keys, self._edge, list(source_ids))
        return signals._replace(acks={name: self._believed(name, acks) for name, acks in signals.acks.items()})

    def _header_key(self, path: str) -> str:
        return self._keys.header(self._edge, digest(path.encode(errors="surrogateescape")))


def forget(client: redis.Redis, keys: Keys, edge: str, source_id: str) -> str | None:
    """Remove a source that no streamer holds. Returns the owner of one that is held; then nothing is changed."""
    names = (keys.source(edge, source_id), keys.acks(edge, source_id), keys.sources(edge))
    owner: bytes | None = client.eval(FORGET, len(names), *names, source_id)
    return owner.decode() if owner else None


def _text(document: SourceState | None) -> str:
    return "" if document is None else state.encode(document)
