"""Which GPU a file means that names none by a UUID, but by its place: host and index.

A place is unique within one edge alone: machines that are all called `localhost` are common, in one cluster too. So the GPU of
a place is that of the edge that told of it first, under the identity `host:index`; another edge gets one of its own, unless it
reads the very same file, or reads files that come from elsewhere (`telemetry ingest`, uploads). What was decided once stays.
Why: docs/decisions/0009-gpus-without-a-uuid.md. What is known to be one GPU later on, `telemetry.store.upkeep.joining` joins.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from telemetry.readings.names import Edge
from telemetry.readings.series import SeriesKey
from telemetry.store import locks

# Two edges that tell of one place for the first time must not both be the first.
LOCK = text("SELECT pg_advisory_xact_lock(:key)")
SELECT_OWN = text("""
    SELECT p.edge, p.place, g.identity
    FROM unnest(CAST(:edge AS text[]), CAST(:place AS text[])) AS k (edge, place)
    JOIN gpu_places p USING (edge, place) JOIN gpus g ON g.id = p.gpu_id
    WHERE g.uuid IS NULL
""")
SELECT_TELLERS = text("""
    SELECT k.n, p.edge, g.identity, EXISTS (SELECT FROM sources s WHERE (s.edge, s.fingerprint) = (p.edge, k.fingerprint))
    FROM unnest(CAST(:place AS text[]), CAST(:fingerprint AS text[])) WITH ORDINALITY AS k (place, fingerprint, n)
    JOIN gpu_places p USING (place) JOIN gpus g ON g.id = p.gpu_id
    WHERE g.uuid IS NULL ORDER BY k.n, g.id
""")
INSERT = text("""
    INSERT INTO gpu_places (place, edge, gpu_id)
    SELECT k.place, k.edge, g.id
    FROM unnest(CAST(:place AS text[]), CAST(:edge AS text[]), CAST(:gpu AS text[])) AS k (place, edge, gpu)
    JOIN gpus g ON g.identity = k.gpu
    WHERE NOT EXISTS (SELECT FROM gpu_places p WHERE (p.place, p.edge, p.gpu_id) = (k.place, k.edge, g.id))
    ORDER BY 1, 2, 3
    ON CONFLICT DO NOTHING
""")

log = logging.getLogger(__name__)


class Mention(NamedTuple):
    """A GPU as an edge tells of it, in a file that begins with what."""

    edge: str
    fingerprint: str
    key: SeriesKey

    @property
    def place(self) -> str:
        """Where it is; empty if that is not said."""
        return f"{self.key.host}:{self.key.index}" if self.key.host and self.key.index is not None else ""


class Teller(NamedTuple):
    """An edge that has told of a place before: the GPU's identity, and whether it has read the same file."""

    edge: str
    identity: str
    has_file: bool


def identity(edge: str, place: str, tellers: Sequence[Teller]) -> str:
    """What the GPU without a UUID is called that an edge tells of for the first time."""
    if not tellers:
        return place
    gpus = {teller.identity for teller in tellers}
    if shared := next((teller.identity for teller in tellers if teller.has_file), None):
        return shared
    if len(gpus) == 1 and (Edge(edge).is_passing or all(Edge(teller.edge).is_passing for teller in tellers)):
        return tellers[0].identity
    return f"{edge}/{place}"


def identities(connection: Connection, mentions: Sequence[Mention]) -> list[str]:
    """The identities of some GPUs, in the caller's transaction: `insert` must be called in it, too."""
    unnamed = {(one.edge, one.place): one.fingerprint for one in mentions if not one.key.uuid}
    by_place: dict[tuple[str, str], str] = {}
    if unnamed:
        by_place = _own(connection, unnamed)
        if len(by_place) < len(unnamed):
            connection.execute(LOCK, {"key": locks.GPU_PLACE})
            by_place = _own(connection, unnamed)
            by_place |= _first_told(connection, {key: mark for key, mark in unnamed.items() if key not in by_place})
    return [one.key.uuid or by_place[one.edge, one.place] for one in mentions]


def insert(connection: Connection, mentions: Iterable[tuple[Mention, str]]) -> None:
    """Write down where GPUs are, by what is told and their identities; they are in the database."""
    rows = sorted({(one.place, one.edge, gpu) for one, gpu in mentions if one.place})
    if rows:
        places, edges, gpus = (list(column) for column in zip(*rows, strict=True))
        connection.execute(INSERT, {"place": places, "edge": edges, "gpu": gpus})


def _own(connection: Connection, asked: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    edges, places = (list(column) for column in zip(*asked, strict=True))
    return {(edge, place): gpu for edge, place, gpu in connection.execute(SELECT_OWN, {"edge": edges, "place": places})}


def _first_told(connection: Connection, asked: dict[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    order = sorted(asked)
    columns = {"place": [place for _, place in order], "fingerprint": [asked[key] for key in order]}
    tellers: dict[int, list[Teller]] = {}
    for n, *teller in connection.execute(SELECT_TELLERS, columns):
        tellers.setdefault(n - 1, []).append(Teller(*teller))
    by_place: dict[tuple[str, str], str] = {}
    for n, (edge, place) in enumerate(order):
        # Others of this call are not in the database yet.
        before = [(other, gpu) for (other, at), gpu in by_place.items() if at == place]
        known = tellers.get(n, []) + [Teller(other, gpu, asked[other, place] == asked[edge, place]) for other, gpu in before]
        by_place[edge, place] = identity(edge, place, known)
        same = [teller.edge for teller in known if Edge(teller.edge).cluster == Edge(edge).cluster]
        if same and by_place[edge, place] not in {teller.identity for teller in known}:
            log.warning("%s tells of a GPU %s, as %s does; they are kept apart: see alert SameGpuName", edge, place, same[0])
    return by_place
