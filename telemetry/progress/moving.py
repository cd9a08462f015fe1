"""Moves an edge from one of several brokers to another: its sources come along, and what it leaves behind is removed.

Batches that wait at the broker which an edge has left are stored by the collectors there. Their acknowledgements reach nobody:
the edge publishes these batches again at its new broker, whose epoch is another one, and the ledger knows them. Where an edge
is now is said by `everywhere`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from math import inf

import redis

from telemetry import broker
from telemetry.progress import reading
from telemetry.progress.claims import REMEMBER_S
from telemetry.progress.keys import Keys
from telemetry.progress.signs import read
from telemetry.readings.digests import digest

log = logging.getLogger(__name__)

# KEYS: source, acks, sources, edges. ARGV: state, source id, edge, remember in s. The token grows: who holds it finds it taken.
BRING = """
redis.call('HINCRBY', KEYS[1], 'token', 1)
redis.call('HSET', KEYS[1], 'lease_until_ms', 0, 'state', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('DEL', KEYS[2])
redis.call('SADD', KEYS[3], ARGV[2])
redis.call('EXPIRE', KEYS[3], ARGV[4])
redis.call('SADD', KEYS[4], ARGV[3])
"""


def bring(edge: str, keys: Keys, client: redis.Redis, others: Mapping[str, redis.Redis]) -> int:
    """Bring the sources of an edge to its broker from the one that it has left, if there is one. Returns how many.

    They go on where they were, with the headers of their files and the record of what was lost. A broker that is away is left
    out, as no edge may depend on the others: what it would have brought is read again.
    """
    own_s, found = _age_s(client, keys, edge), {}
    for name, other in others.items():
        try:
            found[name] = _age_s(other, keys, edge)
        except redis.RedisError as error:
            log.warning("the broker %s was not asked for sources of %s: %s", name, edge, error)
    name = min(found, key=lambda name: found[name], default="")
    if not name or found[name] >= own_s:
        return 0
    number = 0
    try:
        number = _copied(edge, keys, others[name], client)
    except redis.RedisError as error:
        log.warning("not all sources of %s came from the broker %s: %s", edge, name, error)
    log.warning("%s has moved here from the broker %s, with %d sources", edge, name, number)
    return number


def forget_moved(edge: str, keys: Keys, former: redis.Redis) -> bool:
    """Remove what a broker still has of an edge that streams at another one; not while a streamer is at work there."""
    if reading.streamers(former, keys, [edge])[edge]:
        return False
    ids = reading.documents(former, keys, edge)
    of_sources = [name for source_id in ids for name in (keys.source(edge, source_id), keys.acks(edge, source_id))]
    own = (keys.sign(edge), keys.sources(edge), keys.streamers(edge), keys.machine(edge), keys.second_machines(edge))
    with former.pipeline() as pipeline:
        pipeline.delete(*of_sources, *own, keys.lost(edge), keys.tick(edge))
        pipeline.srem(keys.edges(), edge)
        pipeline.zrem(keys.expected(), edge)
        pipeline.zrem(keys.seen(), edge)
        pipeline.execute()
    log.info("what a broker still had of %s is removed: it streams at another one", edge)
    return True


def _age_s(client: redis.Redis, keys: Keys, edge: str) -> float:
    """How long ago a broker heard of an edge, by its own clock; infinity if it never did."""
    with client.pipeline(transaction=False) as pipeline:
        pipeline.get(keys.sign(edge))
        pipeline.time()
        text, time = pipeline.execute()
    sign = read(text)
    return sign.age_s(broker.microseconds(*time)) if sign else inf


def _copied(edge: str, keys: Keys, former: redis.Redis, client: redis.Redis) -> int:
    documents = {name: document for name, document in reading.documents(former, keys, edge).items() if document}
    script = client.register_script(BRING)
    for source_id, document in documents.items():
        names = [keys.source(edge, source_id), keys.acks(edge, source_id), keys.sources(edge), keys.edges()]
        script(names, [document, source_id, edge, REMEMBER_S])
    for path in {state.path for state in reading.decoded(documents).values()}:
        key = keys.header(edge, digest(path.encode(errors="surrogateescape")))
        header = former.get(key)
        if isinstance(header, bytes):
            client.set(key, header, ex=REMEMBER_S)
    lost: list[tuple[bytes, float]] = former.zrange(keys.lost(edge), 0, -1, withscores=True)  # type: ignore[assignment]
    if lost:
        client.zadd(keys.lost(edge), dict(lost))
        client.expire(keys.lost(edge), REMEMBER_S)
    return len(documents)
