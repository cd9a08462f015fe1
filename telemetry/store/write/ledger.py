"""The ledger's statements: entering batches, correcting their counts, keeping the rows they quarantine.

All run inside the caller's transaction. `rows` counts the readings of a batch, `records` the records they stand in.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import Enum, auto
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, text
from sqlalchemy.dialects.postgresql import insert as upsert

from telemetry.readings import wire
from telemetry.readings.digests import digest
from telemetry.store.floor import FLOOR_US
from telemetry.store.models import Batch, Quarantined
from telemetry.store.partitions import ATTACHED, LATE
from telemetry.store.write.samples import Counts, Samples

Key = tuple[str, str]

KNOWN = text("""
    SELECT edge, batch_id, status, digest FROM batches
    JOIN unnest(CAST(:edge AS text[]), CAST(:batch_id AS text[])) AS k (edge, batch_id) USING (edge, batch_id)
""")
# Whether the partitions that the caller is about to write to are still attached, its rule of labels is still the latest, and
# its floor still holds, is asked here: it costs no round trip.
ENTER = text(f"""
    WITH attached AS ({ATTACHED}), asked AS (
        SELECT (SELECT number FROM attached) = cardinality(CAST(:tables AS text[]))
           AND (SELECT max(number) FROM label_rules) = :rule
           AND {FLOOR_US} = CAST(:floor_us AS bigint) AS holds
    ), entered AS (
        INSERT INTO batches (edge, batch_id, source_id, status, anchor, start_offset, end_offset, first_line, records, rows,
                             stored, duplicate, conflict, blank, quarantined, read_at, published_at, digest, expired)
        SELECT edge, batch_id, source_id, 'stored', anchor, start_offset, end_offset, first_line, records, n,
               stored, duplicate, conflict, blank, quarantined, to_timestamp(read_at / 1e6), to_timestamp(published_at / 1e6),
               digest, expired
        FROM unnest(CAST(:edge AS text[]), CAST(:batch_id AS text[]), CAST(:source_id AS bigint[]), CAST(:anchor AS bigint[]),
                    CAST(:start AS bigint[]), CAST(:end AS bigint[]), CAST(:first_line AS bigint[]),
                    CAST(:records AS integer[]), CAST(:rows AS integer[]), CAST(:stored AS integer[]),
                    CAST(:duplicate AS integer[]), CAST(:conflict AS integer[]), CAST(:blank AS integer[]),
                    CAST(:quarantined AS integer[]), CAST(:read_at AS bigint[]), CAST(:published_at AS bigint[]),
                    CAST(:digest AS bigint[]), CAST(:expired AS integer[]))
             AS k (edge, batch_id, source_id, anchor, start_offset, end_offset, first_line, records, n, stored, duplicate,
                   conflict, blank, quarantined, read_at, published_at, digest, expired)
        WHERE (SELECT holds FROM asked)
        ON CONFLICT DO NOTHING RETURNING batch_id
    ), tallied AS (
        INSERT INTO tallies
        SELECT * FROM unnest(CAST(:hours AS integer[]), CAST(:samples AS bigint[]))
        WHERE (SELECT holds FROM asked)
    )
    SELECT (SELECT holds FROM asked), (SELECT count(*) FROM entered)
""")  # noqa: S608 - texts of `partitions` and `floor`
CORRECT = text("""
    UPDATE batches b SET stored = k.stored, duplicate = k.duplicate, conflict = k.conflict
    FROM unnest(CAST(:edge AS text[]), CAST(:batch_id AS text[]), CAST(:stored AS integer[]), CAST(:duplicate AS integer[]),
                CAST(:conflict AS integer[])) AS k (edge, batch_id, stored, duplicate, conflict)
    WHERE (b.edge, b.batch_id) = (k.edge, k.batch_id)
""")


class Known(NamedTuple):
    """What the ledger says of a batch: `stored` or `dead`, and the digest of its readings, None if it has none."""

    status: str
    digest: int | None


def known(connection: Connection, keys: Sequence[Key]) -> dict[Key, Known]:
    """What the ledger says of some batches, by (edge, batch id); those it does not know are left out."""
    columns = {"edge": [edge for edge, _ in keys], "batch_id": [batch_id for _, batch_id in keys]}
    rows = connection.execute(KNOWN, columns)
    return {(edge, batch_id): Known(status, digest) for edge, batch_id, status, digest in rows}


class Entry(Enum):
    """What became of an attempt to enter batches."""

    ENTERED = auto()
    KNOWN = auto()  # One of them is in the ledger already.
    OUTDATED = auto()  # A table is no partition any more, or another rule or floor holds. Nothing was entered.


def enter(
    connection: Connection,
    batches: Sequence[wire.Batch],
    source_ids: Sequence[int],
    arranged: Samples,
    tables: Collection[str],
    rule: int,
    floor_us: int,
) -> Entry:
    """Enter batches as stored, in the order of their keys, if `tables` are partitions, and rule and floor hold.

    They stay so for the transaction. The lock that keeps partitions so also keeps days from being sealed meanwhile:
    `write.late` relies on it.
    """
    counts = arranged.expected
    order = sorted(range(len(batches)), key=lambda n: (batches[n].edge, batches[n].batch_id))
    chosen = [batches[n] for n in order]
    columns: dict[str, list[Any]] = {
        "edge": [batch.edge for batch in chosen],
        "batch_id": [batch.batch_id for batch in chosen],
        "source_id": [source_ids[n] for n in order],
        "anchor": [batch.source.anchor for batch in chosen],
        "start": [batch.start for batch in chosen],
        "end": [batch.end for batch in chosen],
        "first_line": [batch.first_line for batch in chosen],
        "records": [batch.readings.records for batch in chosen],
        "rows": [batch.readings.rows for batch in chosen],
        "stored": counts.stored[order].tolist(),
        "duplicate": counts.duplicate[order].tolist(),
        "conflict": counts.conflict[order].tolist(),
        "blank": [batch.readings.blank for batch in chosen],
        "quarantined": [len(batch.readings.quarantined) for batch in chosen],
        "read_at": [batch.read_at_us for batch in chosen],
        "published_at": [batch.published_at_us for batch in chosen],
        "digest": [arranged.digests[n] for n in order],
        "expired": arranged.expired[order].tolist(),
        "hours": arranged.tally.hours,
        "samples": arranged.tally.samples,
        "tables": sorted(set(tables) - {LATE}),
    }
    holds, entered = connection.execute(ENTER, {**columns, "rule": rule, "floor_us": floor_us}).one()
    if not holds:
        return Entry.OUTDATED
    return Entry.ENTERED if entered == len(batches) else Entry.KNOWN


def correct(connection: Connection, batches: Sequence[wire.Batch], counts: Counts, wrong: Sequence[int]) -> None:
    """Write down what the rows of some of the batches turned out to be."""
    columns = {"edge": [batches[n].edge for n in wrong], "batch_id": [batches[n].batch_id for n in wrong]}
    numbers = {name: getattr(counts, name)[wrong].tolist() for name in ("stored", "duplicate", "conflict")}
    connection.execute(CORRECT, columns | numbers)


def quarantine(connection: Connection, batches: Sequence[wire.Batch], source_ids: Sequence[int]) -> None:
    """Keep the rows of batches that could not be read; those kept before stay as they are."""
    rows = [
        {
            "source_id": source_id,
            "batch_id": batch.batch_id,
            "fingerprint": batch.source.fingerprint,
            "byte_offset": row.offset,
            "digest": bytes.fromhex(digest(row.raw)),
            "line": row.line,
            "reason": row.reason,
            "raw": row.raw,
        }
        for batch, source_id in zip(batches, source_ids, strict=True)
        for row in batch.readings.quarantined
    ]
    if rows:
        rows.sort(key=lambda row: (row["fingerprint"], row["byte_offset"], row["digest"]))
        connection.execute(upsert(Quarantined).on_conflict_do_nothing(), rows)


def is_new(connection: Connection, row: dict[str, Any]) -> bool:
    """Write a row of the ledger. False if the batch has one."""
    # By what comes back: SQLAlchemy's rowcount of an INSERT is not the driver's.
    entered = connection.execute(upsert(Batch).values(row).on_conflict_do_nothing().returning(Batch.batch_id))
    return entered.first() is not None


def _time(micros: int) -> Any:
    return func.to_timestamp(micros / 1_000_000)


def dead_row(header: dict[str, Any], source_id: int, error: str) -> dict[str, Any]:
    """The ledger's row of a batch that can never be stored, by its checked header; counts that it cannot hold are cut."""
    return {
        "edge": header["edge"],
        "batch_id": header["batch_id"],
        "source_id": source_id,
        "status": "dead",
        "error": error,
        "anchor": header["source"]["anchor"],
        "start": header["start"],
        "end": header["end"],
        "first_line": header["first_line"],
        "records": min(header["rows"]["records"], wire.MAX_ROWS),
        "rows": min(header["rows"]["read"], wire.MAX_ROWS),
        **dict.fromkeys(("stored", "duplicate", "conflict", "blank", "quarantined"), 0),
        "read_at": _time(header["read_at"]),
        "published_at": _time(header["published_at"]),
    }
