"""What an edge remembers of its sources, in Redis: one hash a source, changed by compare-and-set on a fencing token.

A streamer claims a source before it works on it and holds it by a lease; whoever claims it next gets a larger token, and
what the former owner still tries to save is refused. All times are the broker's, so no replica's clock matters.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import redis

from telemetry import broker
from telemetry.progress.keys import Keys

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
if ARGV[6] ~= '' then redis.call('HSETNX', KEYS[1], 'state', ARGV[6]) end
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('SADD', KEYS[2], ARGV[4])
redis.call('SADD', KEYS[3], ARGV[5])
return {token, redis.call('HGET', KEYS[1], 'state')}
"""

# KEYS: source, acks. ARGV: token, lease in ms, remember in s, state or nothing to keep the one that is there, owner, and
# the acknowledgements whose effect the state holds.
SAVE = """
local held = redis.call('HMGET', KEYS[1], 'token', 'owner')
if not held[1] then return 'gone' end
if held[1] ~= ARGV[1] or held[2] ~= ARGV[5] then return 'taken' end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'lease_until_ms', now + ARGV[2])
if ARGV[4] ~= '' then redis.call('HSET', KEYS[1], 'state', ARGV[4]) end
for n = 6, #ARGV do redis.call('HDEL', KEYS[2], ARGV[n]) end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 'saved'
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

# KEYS: expected. ARGV: edge, patience in ms, remember in s.
EXPECT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3] * 1000)
"""

# KEYS: source, acks. ARGV: state. The token grows, so whoever holds the source finds it taken.
OVERWRITE = """
redis.call('HINCRBY', KEYS[1], 'token', 1)
redis.call('HSET', KEYS[1], 'lease_until_ms', 0, 'state', ARGV[1])
redis.call('DEL', KEYS[2])
"""

State = dict[str, Any]
Saved = Literal["saved", "taken", "gone"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A source that is ours until its token grows, and the state it was left in (None for a new one)."""

    source_id: str
    token: int
    state: State | None


@dataclass(frozen=True, slots=True)
class Look:
    """What the broker says at one moment: its mark, its clock, by source the acknowledgements: batch id → stored or dead."""

    epoch: str
    now_us: int
    acks: dict[str, dict[str, str]]


class Registry:
    """The sources of one edge, for one owner (a streamer process)."""

    def __init__(self, client: redis.Redis, keys: Keys, edge: str, owner: str, lease_s: int) -> None:
        self._client = client
        self._keys = keys
        self._edge = edge
        self._owner = owner
        self._lease_ms = lease_s * 1000
        self._claim = client.register_script(CLAIM)
        self._save = client.register_script(SAVE)
        self._release = client.register_script(RELEASE)
        self._expect = client.register_script(EXPECT)
        self._end = client.register_script(END)

    def claim(self, source_id: str, state: State | None = None) -> Claim | None:
        """Take a source, None if another streamer holds it. `state` becomes its state if it has none."""
        keys = [self._keys.source(self._edge, source_id), self._keys.sources(self._edge), self._keys.edges()]
        found = self._claim(keys, [self._owner, self._lease_ms, REMEMBER_S, source_id, self._edge, _text(state)])
        if not found:
            return None
        token, left = found
        return Claim(source_id, int(token), json.loads(left) if left else None)

    def save(self, claim: Claim, state: State | None = None, acked: Iterable[str] = ()) -> Saved:
        """Write the state of a claimed source, or only renew the lease. Says if it was taken by another or is gone.

        `acked` are the acknowledgements whose effect the state holds: they are removed with the same stroke.
        """
        keys = [self._keys.source(self._edge, claim.source_id), self._keys.acks(self._edge, claim.source_id)]
        answer: bytes = self._save(keys, [claim.token, self._lease_ms, REMEMBER_S, _text(state), self._owner, *acked])
        saved = answer.decode()
        assert saved in {"saved", "taken", "gone"}, "the script has three answers"  # noqa: S101
        return saved  # type: ignore[return-value]

    def release(self, claim: Claim) -> None:
        """Give a source up, so that another streamer need not wait for the lease to end."""
        self._release([self._keys.source(self._edge, claim.source_id)], [claim.token])

    def expect(self, patience_s: float) -> None:
        """Say that this edge is at work, and within how many seconds it will say so again."""
        self._expect([self._keys.expected()], [self._edge, round(patience_s * 1000), REMEMBER_S])

    def forget(self, source_id: str) -> None:
        """Remove a source, whoever holds it: it is read again from its beginning."""
        self._client.delete(self._keys.source(self._edge, source_id), self._keys.acks(self._edge, source_id))
        self._client.srem(self._keys.sources(self._edge), source_id)

    def end(self, claim: Claim) -> None:
        """Remove a claimed source of which nothing is left to read; not if another streamer has taken it."""
        source, acks = self._keys.source(self._edge, claim.source_id), self._keys.acks(self._edge, claim.source_id)
        self._end([source, acks, self._keys.sources(self._edge)], [claim.token, self._owner, claim.source_id])

    def move(self, old: Claim, source_id: str) -> None:
        """Let a claimed source go on under another id, with the acknowledgements that wait for it."""
        self.claim(source_id, old.state)
        self._client.eval(MOVE, 2, self._keys.acks(self._edge, old.source_id), self._keys.acks(self._edge, source_id))
        self.end(old)

    def overwrite(self, source_id: str, state: State) -> None:
        """Give a source another state, whoever holds it; the holder finds out at its next save."""
        keys = [self._keys.source(self._edge, source_id), self._keys.acks(self._edge, source_id)]
        self._client.eval(OVERWRITE, 2, *keys, _text(state))

    def known(self) -> dict[str, State]:
        """The states of all sources of the edge, by id. Ids whose hash has expired are dropped on the way."""
        ids = sorted(_plain(each) for each in self._client.smembers(self._keys.sources(self._edge)))
        with self._client.pipeline(transaction=False) as pipeline:
            for source_id in ids:
                pipeline.hget(self._keys.source(self._edge, source_id), "state")
            states = dict(zip(ids, pipeline.execute(), strict=True))
        for source_id in (each for each, state in states.items() if state is None):
            keys = [self._keys.source(self._edge, source_id), self._keys.sources(self._edge)]
            self._client.eval(DROP_EXPIRED, 2, *keys, source_id)
        return {source_id: json.loads(state) for source_id, state in states.items() if state}

    def look(self, source_ids: Sequence[str]) -> Look:
        """The mark, the clock and the acknowledgements of some sources, in one round trip."""
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.get(self._keys.epoch())
            pipeline.time()
            for source_id in source_ids:
                pipeline.hgetall(self._keys.acks(self._edge, source_id))
            mark, time, *found = pipeline.execute()
        acks = {
            source_id: {_plain(batch_id): _plain(status) for batch_id, status in acked.items()}
            for source_id, acked in zip(source_ids, found, strict=True)
        }
        return Look(_plain(mark) if mark else self.epoch(), broker.microseconds(*time), acks)

    def epoch(self) -> str:
        """The mark of this key space: another one than before says that the broker's keys were lost."""
        key = self._keys.epoch()
        mark = self._client.get(key)
        if not mark:
            self._client.set(key, secrets.token_hex(8), nx=True)
            mark = self._client.get(key)
        return _plain(mark) if mark else ""


def all_committed(state: State) -> bool:
    """Whether all that a streamer has seen of a file is committed, a torn last line included: then it may be deleted."""
    window = state["window"]
    return not state["foreign"] and not window["flights"] and bool(window["committed"] >= state["size"])


def edges(client: redis.Redis, keys: Keys) -> list[str]:
    """The names of all edges that have streamed."""
    return sorted(_plain(name) for name in client.smembers(keys.edges()))


def expected_ms(client: redis.Redis, keys: Keys) -> dict[str, int]:
    """Until when each edge that streams for good is expected to say again that it is at work; broker's clock."""
    found: list[tuple[bytes | str, float]] = client.zrange(keys.expected(), 0, -1, withscores=True)  # type: ignore[assignment]
    return {_plain(edge): int(until) for edge, until in found}


def _text(state: State | None) -> str:
    return "" if state is None else json.dumps(state, separators=(",", ":"))


def _plain(reply: bytes | str) -> str:
    return reply.decode() if isinstance(reply, bytes) else reply
