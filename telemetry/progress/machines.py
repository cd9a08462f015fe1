"""Which machine streams for an edge: one at a time, by a lease; another one of the same name is refused, and remembered.

Two machines under one name would take each other's files for their own: a source is known by path and first record. All times
are the broker's. What a machine is known by, and what a refused one does, is `telemetry.streamer.machine`'s.
"""

from __future__ import annotations

from collections.abc import Iterable

import redis

from telemetry.progress.keys import Keys

# A refused machine is shown so long after it asked last, in leases. It asks four times a lease.
SHOWN_LEASES = 2

# KEYS: machine, second machines. ARGV: id, name, lease in ms, how long a refused one is shown in ms.
# A lease that ends later than one that begins now says that the broker's clock was set back; it counts as over.
CLAIM = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'id', 'name', 'until_ms')
local left = tonumber(held[3] or 0) - now
if held[1] and held[1] ~= ARGV[1] and left > 0 and left <= tonumber(ARGV[3]) then
  redis.call('ZADD', KEYS[2], now, ARGV[2])
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[4])
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
  return held[2]
end
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'name', ARGV[2], 'until_ms', now + ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return false
"""


class Machines:
    """The machine of one edge, as one of its streamers sees it."""

    def __init__(self, client: redis.Redis, keys: Keys, edge: str, lease_s: int) -> None:
        self._names = [keys.machine(edge), keys.second_machines(edge)]
        self._lease_ms = lease_s * 1000
        self._claim = client.register_script(CLAIM)

    def claim(self, machine_id: str, name: str) -> str | None:
        """Let a machine stream for a lease from now on. Returns the name of the one that does, if it is another."""
        answer = self._claim(self._names, [machine_id, name, self._lease_ms, SHOWN_LEASES * self._lease_ms])
        return answer.decode() if answer else None


def refused(client: redis.Redis, keys: Keys, edges: Iterable[str]) -> dict[str, list[str]]:
    """The names of the machines that are refused, by edge."""
    names = list(edges)
    with client.pipeline(transaction=False) as pipeline:
        for edge in names:
            pipeline.zrange(keys.second_machines(edge), 0, -1)
        answers = pipeline.execute()
    return {edge: [name.decode() for name in machines] for edge, machines in zip(names, answers, strict=True) if machines}
