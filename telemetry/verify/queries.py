"""What the database holds of some files: the SQL of `telemetry verify`. Nothing here judges what it finds."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import psycopg
from sqlalchemy import Connection, Engine, text

from telemetry.verify.files import Longs
from telemetry.verify.formats.base import Passing, SeriesKey

# A row of COPY BINARY: the number of fields, then each field's length and bytes, none of them null.
SAMPLE = np.dtype(
    [("fields", ">i2"), ("n1", ">i4"), ("series", ">i8"), ("n2", ">i4"), ("ts", ">i8"), ("n3", ">i4"), ("value", ">f8")]
)
_HEADER = 19
_TRAILER = struct.pack(">h", -1)
_POSTGRES_EPOCH_US = 946_684_800_000_000

_NAMES_A_QUERY = 5_000
_SAMPLES_A_BLOCK = 500_000


class SeriesIds(NamedTuple):
    """The series of some keys: the id of each, whether a series of its own tells its owner, and ids that mean another one.

    `all`: GPU and metric of every series that there is of the GPUs and metrics of the keys, by id.
    """

    ids: Longs
    own_series: npt.NDArray[np.bool_]
    aliases: dict[int, int]
    all: dict[int, tuple[str, str]]


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection that sees the database at one moment, for as long as the comparison takes."""
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect() as plain:
        connection = plain.execution_options(**options)
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        # Before the snapshot: a day that is sealed after it would be gone from its partition, and not yet be in the arrays.
        connection.execute(text("LOCK TABLE ONLY samples IN ACCESS SHARE MODE"))
        yield connection


def passing(connection: Connection) -> list[Passing]:
    """The rules of labels, the earliest first; none if no collector has written one down."""
    query = """
        SELECT coalesce((extract(epoch FROM since) * 1000000)::bigint, -9223372036854775808), volatile, owner
        FROM label_rules ORDER BY 1
    """
    return [Passing(since, frozenset(volatile), frozenset(owner)) for since, volatile, owner in connection.execute(text(query))]


def gpus_of(
    connection: Connection, fingerprints: Sequence[str | None], names: Sequence[str]
) -> dict[tuple[str | None, str], str]:
    """What the database calls GPUs without a UUID, by the file that tells of them and the name there, `host:index`."""
    query = text("""
        SELECT s.fingerprint, p.place, g.identity
        FROM sources s JOIN gpu_places p ON p.edge = s.edge JOIN gpus g ON g.id = p.gpu_id
        WHERE s.fingerprint = ANY(:fingerprints) AND p.place = ANY(:names) AND g.uuid IS NULL
    """)
    identities = {}
    for start in range(0, len(names), _NAMES_A_QUERY):
        given = {"fingerprints": list(filter(None, fingerprints)), "names": list(names[start : start + _NAMES_A_QUERY])}
        for fingerprint, name, identity in connection.execute(query, given):
            identities[fingerprint, name] = identity
    return identities


def only_replayed(connection: Connection, fingerprint: str) -> bool:
    """Whether the ledger knows a file by replays alone, which store its rows under other times."""
    query = """
        SELECT count(*) > 0 AND bool_and(b.anchor IS NOT NULL)
        FROM ledger b JOIN sources s ON s.id = b.source_id WHERE s.fingerprint = :fingerprint
    """
    return bool(connection.execute(text(query), {"fingerprint": fingerprint}).scalar())


def other_sources(connection: Connection, fingerprints: Sequence[str], limit: int) -> list[str]:
    """Edge and path of sources of which readings are stored, without those of some fingerprints, the latest first."""
    query = """
        SELECT s.edge || ' ' || s.path FROM sources s
        WHERE NOT s.fingerprint = ANY(:fingerprints) AND EXISTS (SELECT FROM ledger l WHERE l.source_id = s.id AND l.stored > 0)
        ORDER BY s.id DESC LIMIT :limit
    """
    return list(connection.scalars(text(query), {"fingerprints": list(fingerprints), "limit": limit}))


def floor(connection: Connection) -> int:
    """The time below which no reading is kept, in microseconds from 1970; the lowest number if all are kept."""
    query = "SELECT (extract(epoch FROM kept_since) * 1000000)::bigint FROM retention WHERE level = 'samples'"
    floor_us: int | None = connection.scalar(text(query))
    return int(np.iinfo(np.int64).min) if floor_us is None else floor_us


def ranges_of_old(connection: Connection, fingerprint: str) -> list[tuple[int, int]]:
    """The byte ranges of a file whose rows in quarantine are not kept any more, as they came too long ago."""
    query = """
        SELECT l.start_offset, l.end_offset
        FROM ledger l JOIN sources s ON s.id = l.source_id JOIN retention r ON r.level = 'quarantine'
        WHERE s.fingerprint = :fingerprint AND l.quarantined > 0 AND l.committed_at < r.kept_since
    """
    return [(start, end) for start, end in connection.execute(text(query), {"fingerprint": fingerprint})]


def dead_ranges(connection: Connection, fingerprint: str) -> list[tuple[int, int]]:
    """The byte ranges of a file whose batches are dead."""
    query = """
        SELECT b.start_offset, b.end_offset
        FROM batches b JOIN sources s ON s.id = b.source_id
        WHERE s.fingerprint = :fingerprint AND b.status = 'dead' AND b.anchor IS NULL
    """
    return [(start, end) for start, end in connection.execute(text(query), {"fingerprint": fingerprint})]


def quarantined(connection: Connection, fingerprint: str) -> Iterator[Sequence[tuple[int, bytes, str]]]:
    """Offset, digest and reason of a file's quarantined rows, some thousands at a time."""
    query = "SELECT byte_offset, digest, reason FROM quarantine WHERE fingerprint = :fingerprint"
    result = connection.execute(text(query), {"fingerprint": fingerprint}, execution_options={"yield_per": 10_000})
    for rows in result.partitions():
        yield [(offset, bytes(digest), reason) for offset, digest, reason in rows]


def series_ids(connection: Connection, keys: Sequence[SeriesKey]) -> SeriesIds:
    """The id of each series, -1 for one the database does not know.

    A series of before owners were told apart counts for its owner's readings. One that a collector of before made after that
    counts too, beside that of all owners.
    """
    ids, own_series, aliases = np.full(len(keys), -1, np.int64), np.zeros(len(keys), np.bool_), {}
    known = _known(connection, sorted({key.gpu for key in keys}))
    for place, key in enumerate(keys):
        series, _ = known.get((key.gpu, key.metric, key.labels), (-1, False))
        owned, of_owner = known.get((key.gpu, key.metric, key.owned), (-1, False))
        own_series[place] = owned >= 0
        if of_owner or series < 0:
            series = owned
        elif series != owned >= 0:
            aliases[owned] = series
        ids[place] = series
    pairs = {(key.gpu, key.metric) for key in keys}
    of_all = {series: (gpu, metric) for (gpu, metric, _), (series, _) in known.items() if (gpu, metric) in pairs}
    return SeriesIds(ids, own_series, aliases, of_all)


def _known(connection: Connection, gpus: list[str]) -> dict[tuple[str, str, bytes], tuple[int, bool]]:
    """The series of some GPUs by GPU, metric and digest: id, and whether it was made of an owner."""
    query = text("""
        SELECT g.identity, m.name, substr(s.labels_digest, 1, 16), s.id, s.of_owner
        FROM series_gpus g JOIN series s ON s.gpu_id = g.gpu_id AND substr(s.labels_digest, 17) = g.told_as
        JOIN metrics m ON m.id = s.metric_id
        WHERE g.identity = ANY(:gpus)
    """)
    known = {}
    for start in range(0, len(gpus), _NAMES_A_QUERY):
        for gpu, metric, digest, series_id, of_owner in connection.execute(
            query, {"gpus": gpus[start : start + _NAMES_A_QUERY]}
        ):
            known[gpu, metric, bytes(digest)] = series_id, of_owner
    return known


def held(
    connection: Connection, gpus: Sequence[str], tellers: Sequence[str], low: datetime, high: datetime
) -> Iterator[tuple[str, str, bytes, Longs]]:
    """GPU, instance and digest of each owner of some GPUs, and the minutes from 1970 in which it had it, of [low, high).

    Of the owners that some tell of: a scheduler by its name, or "" for what was read off the GPUs.
    """
    query = text("""
        SELECT g.identity, a.instance, o.digest, extract(epoch FROM lower(r))::bigint, extract(epoch FROM upper(r))::bigint
        FROM allocations a JOIN series_gpus g ON g.gpu_id = a.gpu_id JOIN owners o ON o.id = a.owner_id
        CROSS JOIN LATERAL unnest(a.held * tstzmultirange(tstzrange(:low, :high))) AS r
        WHERE g.identity = ANY(:gpus) AND a.day BETWEEN date(:low AT TIME ZONE 'UTC') AND date(:high AT TIME ZONE 'UTC')
            AND o.labels <> '{}' AND coalesce(o.labels ->> 'told_by', '') = ANY(:tellers)
    """)
    for start in range(0, len(gpus), _NAMES_A_QUERY):
        given = {"gpus": list(gpus[start : start + _NAMES_A_QUERY]), "tellers": list(tellers), "low": low, "high": high}
        for gpu, instance, owner, first, end in connection.execute(query, given):
            yield gpu, instance, bytes(owner), np.arange(first // 60, -(-end // 60), dtype=np.int64)


def samples(connection: Connection, ids: Longs, low: int, high: int) -> Iterator[tuple[Longs, Longs, npt.NDArray[np.float64]]]:
    """Series id, time and value of the samples of some series from `low` to `high`, both included, block by block."""
    query = """
        COPY (SELECT series_id, ts, value FROM stored_samples(%s, %s) WHERE series_id = ANY(%s)) TO STDOUT (FORMAT BINARY)
    """
    driver: psycopg.Connection | None = connection.connection.driver_connection
    assert driver is not None, "an open connection has a driver's connection"  # noqa: S101
    for start in range(0, len(ids), _NAMES_A_QUERY):
        some = ids[start : start + _NAMES_A_QUERY].tolist()
        pending = bytearray()
        skipped = _HEADER
        with driver.cursor() as cursor, cursor.copy(query, (instant(low), instant(high), some)) as copy:
            for data in copy:
                pending += data
                if len(pending) >= skipped + _SAMPLES_A_BLOCK * SAMPLE.itemsize:
                    yield _columns(pending, skipped)
                    pending, skipped = bytearray(), 0
        assert pending.endswith(_TRAILER), "COPY ends with its trailer"  # noqa: S101
        yield _columns(pending[: -len(_TRAILER)], skipped)


def _columns(block: bytearray, skipped: int) -> tuple[Longs, Longs, npt.NDArray[np.float64]]:
    rows = np.frombuffer(bytes(block), SAMPLE, offset=skipped) if len(block) > skipped else np.empty(0, SAMPLE)
    return (
        rows["series"].astype(np.int64),
        rows["ts"].astype(np.int64) + _POSTGRES_EPOCH_US,
        rows["value"].astype(np.float64),
    )


def instant(ts: int) -> datetime:
    """A time given in microseconds since 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ts)
