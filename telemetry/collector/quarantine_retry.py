"""Reads quarantined rows again for a person: what is a reading by now is stored and leaves quarantine, in one transaction.

Rows are there that were judged by a wrong clock or setting, or by an older version of their format. Those of a time whose
samples are not kept any more stay: they would be stored nowhere, and their text be gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any, NamedTuple

import redis
from sqlalchemy import Connection, Engine, Row

from telemetry import broker
from telemetry.collector.second_reading import Reader, UnreadableError, reader_of
from telemetry.collector.writer import BatchWriter, Releasable
from telemetry.progress import reading
from telemetry.progress.keys import Keys
from telemetry.progress.state import SourceState
from telemetry.readings.digests import digest
from telemetry.settings import Settings
from telemetry.store import audit_log, floor
from telemetry.store.read import quarantined
from telemetry.store.read.ingest import QuarantineFilter
from telemetry.store.read.settled import now
from telemetry.store.write import release
from telemetry.store.write.conflicts import Origin
from telemetry.store.write.release import Released
from telemetry.store.write.stretches import Content

# Rows of a transaction.
AT_ONCE = 2000


class Retried(NamedTuple):
    """What became of the rows of a source: how many left, as how many samples, and how many stay; why none could be read."""

    edge: str
    path: str
    left: int
    stored: int
    stay: int
    unreadable: str = ""


@dataclass(slots=True)
class QuarantineRetry:
    """Reads rows again with one database and one broker."""

    settings: Settings
    engine: Engine
    client_of: Callable[[str], redis.Redis]

    def __call__(self, some: QuarantineFilter, *, actor: str) -> Iterator[Retried]:
        """Read rows again, a source after the other; where an edge's broker is away, they stay. Raises database errors."""
        with self.engine.connect() as connection:
            rows = list(quarantined.listed(connection, some))
        writer = BatchWriter(self.settings, self.engine)
        for _, of_source in groupby(rows, key=lambda row: (row.source, row.fingerprint)):
            yield self._of_source(writer, list(of_source), actor)

    def _of_source(self, writer: BatchWriter, rows: Sequence[Row[Any]], actor: str) -> Retried:
        edge, path = rows[0].edge, rows[0].path
        try:
            reader = self._reader(edge, path, rows[0].fingerprint)
            broker_us = broker.now_us(self.client_of(edge))
        except (UnreadableError, redis.RedisError) as error:
            return Retried(edge, path, 0, 0, len(rows), str(error))
        # Only what every clock calls past is believed: what was wrong is a clock, most often.
        with self.engine.connect() as connection:
            now_us = min(broker_us, int(now(connection).timestamp() * 1_000_000))
            floor_us = floor.ask(connection)

        def note(connection: Connection, released: Sequence[Released]) -> None:
            detail = {"rows": len(released), "stored": sum(row.stored for row in released)}
            audit_log.note(connection, actor, "quarantine.retry", f"{edge} {path}", detail)

        left, stored, waiting = 0, 0, iter(rows)
        while group := list(islice(waiting, AT_ONCE)):
            good, reasons = _judged(reader, group, now_us, floor_us)
            released = writer.release(good, note) if good else []
            if released is None:
                return Retried(edge, path, left, stored, len(rows) - left, "somebody else retries them")
            left, stored = left + len(released), stored + sum(row.stored for row in released)
            if reasons:
                with self.engine.begin() as connection:
                    release.judge_anew(connection, reasons)
        return Retried(edge, path, left, stored, len(rows) - left)

    def _reader(self, edge: str, path: str, fingerprint: str) -> Reader:
        keys = Keys(self.settings.key_prefix)
        client = self.client_of(edge)
        states = reading.sources(client, keys, edge).values()
        state = _of_file(states, path, fingerprint)
        name = (state.path if state else path).encode(errors="surrogateescape")
        header: bytes | None = client.get(keys.header(edge, digest(name)))  # type: ignore[assignment]
        return reader_of(self.settings, edge, state, header or b"")


def _of_file(states: Iterable[SourceState], path: str, fingerprint: str) -> SourceState | None:
    """The state of a file, under the name that it has by now."""
    same = [state for state in states if state.fingerprint == fingerprint]
    return next((state for state in same if state.shown_path == path), same[0] if same else None)


def _judged(reader: Reader, rows: Iterable[Row[Any]], now_us: int, floor_us: int) -> tuple[list[Releasable], dict[int, str]]:
    """The rows that are readings today, none of them below the floor; of what is none, by the ids, why."""
    good, reasons = list[Releasable](), dict[int, str]()
    for row in rows:
        readings = reader.read(bytes(row.raw), row.byte_offset, row.line, now_us)
        if readings is None:
            continue
        if readings.quarantined:
            reasons[row.id] = readings.quarantined[0].reason
        elif not (readings.ts_us < floor_us).any():
            content = Content(row.edge, row.fingerprint, readings)
            good.append(Releasable(row.id, Origin(row.source, row.batch_id), row.byte_offset, content))
    return good, reasons
