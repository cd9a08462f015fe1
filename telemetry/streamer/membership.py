"""How the streamers of one edge share its sources: each reports that it lives, and holds its part of them and no more.

Leases and tokens keep a source with one streamer (`telemetry.progress.claims`); this module only tells how many sources each
should hold. All times are the broker's. Its clock may be set back: a streamer that seems to live for longer than a lease counts
as dead.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import redis

from telemetry.progress.keys import Keys

# KEYS: streamers. ARGV: lease in ms, owner or nothing to only count.
LIVE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + ARGV[1] + 1, '+inf')
if ARGV[2] ~= '' then
  redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return redis.call('ZCARD', KEYS[1])
"""


@dataclass(slots=True)
class Membership:
    """The live streamers of an edge, as one of them sees them, or beat, which only counts them."""

    client: redis.Redis
    keys: Keys
    edge: str
    lease_s: int
    _live: Any = field(init=False)

    def __post_init__(self) -> None:
        self._live = self.client.register_script(LIVE)

    def count(self, owner: str = "") -> int:
        """How many live, at least one. `owner` reports itself as one of them."""
        return max(1, int(self._live([self.keys.streamers(self.edge)], [self.lease_s * 1000, owner])))

    def leave(self, owner: str) -> None:
        """Count an owner no more."""
        self.client.zrem(self.keys.streamers(self.edge), owner)


def part(sources: int, streamers: int) -> int:
    """How many sources one of so many streamers should hold."""
    return -(-sources // streamers)
