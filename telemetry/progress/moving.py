"""Moves an edge from one of several brokers to another: its sources come along, and what it leaves behind is removed.

Batches that wait at the broker which an edge has left are stored by the collectors there. Their acknowledgements reach nobody:
the edge publishes these batches again at its new broker, whose epoch is another one, and the ledger knows them. Where an edge
is now is said by `everywhere`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import NamedTuple, TypeVar

import redis
from msgspec.structs import replace

from telemetry import broker
from telemetry.progress import reading
from telemetry.progress.claims import REMEMBER_S
from telemetry.progress.keys import Keys
from telemetry.progress.signs import ages_s
from telemetry.progress.state import StateError, decode, encode
from telemetry.readings.digests import digest

log = logging.getLogger(__name__)

# Sources that are written in one round trip: an edge may have thousands, and its broker may be far.
AT_ONCE = 500

Some = TypeVar("Some")

# KEYS: source, acks, sources, edges. ARGV: state, source id, edge, remember in s. The token grows: who holds it finds it taken.
BRING = """
redis.call('HINCRBY', KEYS[1], 'token', 1)
redis.call('HSET', KEYS[1], 'lease_until_ms', 0, 'state', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('DEL', KEYS[2])
redis.call('SADD', KEYS[3], ARGV[2])
redis.call('SADD', KEYS[4], ARGV[3])
"""


class Luggage(NamedTuple):
    """What comes along: states by source id, headers by the digest of their path, lost ranges with their time in s.

    `now_us` was the time at their broker then.
    """

    documents: dict[str, bytes]
    headers: dict[str, bytes]
    lost: dict[bytes, float]
    now_us: int


def bring(edge: str, keys: Keys, client: redis.Redis, others: Mapping[str, redis.Redis]) -> int:
    """Bring the sources of an edge to its broker from the one that it has left, if there is one. Returns how many.

    They go on where they were, with the headers of their files and the record of what was lost. A broker that is away is left
    out, as no edge may depend on the others: what it would have brought is read again. Raises RedisError if its own broker
    does not take them: then they are to be brought again.
    """
    if not others:
        return 0
    own_epoch, own_s, heard_s = reading.epoch(client, keys), _heard_s(client, keys, edge), dict[str, float]()
    for name, other in others.items():
        try:
            # One server under two names has nothing to bring.
            if reading.mark(other, keys) != own_epoch:
                heard_s[name] = _heard_s(other, keys, edge)
        except redis.RedisError as error:
            log.warning("the broker %s was not asked for sources of %s: %s", name, edge, error)
    name = max(heard_s, key=lambda name: heard_s[name], default="")
    if not name or heard_s[name] <= own_s:
        return 0
    try:
        luggage = _packed(edge, keys, others[name])
    except redis.RedisError as error:
        log.warning("no sources of %s came from the broker %s: %s", edge, name, error)
        return 0
    _unpack(edge, keys, client, luggage)
    _drop_ticks(edge, keys, others[name])
    log.warning("%s has moved here from the broker %s, with %d sources", edge, name, len(luggage.documents))
    return len(luggage.documents)


def forget_moved(edge: str, keys: Keys, former: redis.Redis, home: redis.Redis) -> bool:
    """Remove what a broker still has of an edge that streams at another one, at `home`, which gets its record of losses.

    Not while a streamer is at work there, nor where both are one server. Raises RedisError.
    """
    mark = reading.mark(former, keys)
    if not mark or mark == reading.mark(home, keys):
        return False
    with former.pipeline() as pipeline:
        # One that comes back meanwhile keeps what is there.
        pipeline.watch(keys.streamers(edge), keys.sign(edge))  # type: ignore[no-untyped-call]
        if reading.streamers(former, keys, [edge])[edge]:
            return False
        # The edge brought none if this broker was away when it moved.
        _record(edge, keys, home, _lost(edge, keys, former))
        ids = reading.documents(former, keys, edge)
        of_sources = [name for source_id in ids for name in (keys.source(edge, source_id), keys.acks(edge, source_id))]
        own = (keys.sign(edge), keys.sources(edge), keys.streamers(edge), keys.machine(edge), keys.second_machines(edge))
        pipeline.multi()
        pipeline.delete(*of_sources, *own, keys.lost(edge), keys.tick(edge))
        pipeline.srem(keys.edges(), edge)
        pipeline.zrem(keys.expected(), edge)
        pipeline.zrem(keys.seen(), edge)
        try:
            pipeline.execute()
        except redis.WatchError:
            return False
    log.info("what a broker still had of %s is removed: it streams at another one", edge)
    return True


def _heard_s(client: redis.Redis, keys: Keys, edge: str) -> float:
    """When a broker heard of an edge, on our monotonic clock; minus infinity if it never did."""
    return monotonic() - ages_s(client, keys, [edge])[edge]


def _packed(edge: str, keys: Keys, former: redis.Redis) -> Luggage:
    documents = {name: document for name, document in reading.documents(former, keys, edge).items() if document}
    paths = {state.path for state in reading.decoded(documents).values()}
    names = sorted(digest(path.encode(errors="surrogateescape")) for path in paths)
    answers: list[bytes | None] = []
    for some in _parts(names):
        with former.pipeline(transaction=False) as pipeline:
            for name in some:
                pipeline.get(keys.header(edge, name))
            answers += pipeline.execute()
    headers = {name: header for name, header in zip(names, answers, strict=True) if header}
    return Luggage(documents, headers, _lost(edge, keys, former), broker.now_us(former))


def _unpack(edge: str, keys: Keys, client: redis.Redis, luggage: Luggage) -> None:
    for headers in _parts(list(luggage.headers.items())):
        with client.pipeline(transaction=False) as pipeline:
            for name, header in headers:
                pipeline.set(keys.header(edge, name), header, ex=REMEMBER_S)
            pipeline.execute()
    _record(edge, keys, client, luggage.lost)
    script, ahead_us = client.register_script(BRING), broker.now_us(client) - luggage.now_us
    for some in _parts(list(luggage.documents.items())):
        with client.pipeline(transaction=False) as pipeline:
            for source_id, document in some:
                names = [keys.source(edge, source_id), keys.acks(edge, source_id), keys.sources(edge), keys.edges()]
                script(names, [_by_our_clock(document, ahead_us), source_id, edge, REMEMBER_S], client=pipeline)
            pipeline.execute()
    # Last: from now on this broker is the one that has heard of the edge.
    client.expire(keys.sources(edge), REMEMBER_S)


def _by_our_clock(document: bytes, ahead_us: int) -> bytes | str:
    """A state whose times of the other broker are those of ours, or what cannot be read as it is."""
    try:
        state = decode(document)
    except StateError:
        return document
    flights = tuple(replace(flight, first_published_us=flight.first_published_us + ahead_us) for flight in state.window.flights)
    return encode(
        replace(
            state,
            growth=tuple(note._replace(seen_us=note.seen_us + ahead_us) for note in state.growth),
            changed_us=state.changed_us + ahead_us if state.changed_us else 0,
            window=replace(state.window, flights=flights),
        )
    )


def _drop_ticks(edge: str, keys: Keys, former: redis.Redis) -> None:
    """Remove the ticks that streamers had taken at a broker: nobody will look for them there, and they do not expire."""
    with suppress(redis.RedisError):
        if not reading.streamers(former, keys, [edge])[edge]:
            former.delete(*keys.unacked_options(f"edge.{edge}").values())


def _lost(edge: str, keys: Keys, client: redis.Redis) -> dict[bytes, float]:
    """The record of what was lost, as it stands at a broker."""
    lost: list[tuple[bytes, float]] = client.zrange(keys.lost(edge), 0, -1, withscores=True)  # type: ignore[assignment]
    return dict(lost)


def _record(edge: str, keys: Keys, client: redis.Redis, lost: Mapping[bytes, float]) -> None:
    if lost:
        # What is there already has its time.
        client.zadd(keys.lost(edge), dict(lost), nx=True)
        client.expire(keys.lost(edge), REMEMBER_S)


def _parts(some: Sequence[Some]) -> Iterator[Sequence[Some]]:
    return (some[at : at + AT_ONCE] for at in range(0, len(some), AT_ONCE))
