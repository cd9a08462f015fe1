"""How far an upload is: what the ledger has of a file that came through the API."""

from __future__ import annotations

from sqlalchemy import TextClause, text

# By the name alone: the streamer may see the spool directory under another path.
PROGRESS = text("""
    SELECT u.id, u.name, u.fingerprint, u.size_bytes, u.uploaded_at, u.start_bytes,
           coalesce(sum(b.end_offset - b.start_offset), 0)::bigint AS covered_bytes,
           coalesce(sum(b.batches), 0)::bigint AS batches,
           count(*) FILTER (WHERE b.status = 'dead') AS dead_batches, coalesce(sum(b.rows), 0)::bigint AS rows,
           coalesce(sum(b.stored), 0)::bigint AS stored, coalesce(sum(b.duplicate), 0)::bigint AS duplicate,
           coalesce(sum(b.conflict), 0)::bigint AS conflict, coalesce(sum(b.blank), 0)::bigint AS blank,
           coalesce(sum(b.quarantined), 0)::bigint AS quarantined, coalesce(sum(b.expired), 0)::bigint AS expired
    FROM uploads u
    LEFT JOIN sources s ON s.edge = :edge AND right(s.path, length(u.name) + 1) = '/' || u.name
    LEFT JOIN ledger b ON b.source_id = s.id
    WHERE u.id = :id GROUP BY u.id
""")


def progress(upload_id: str, edge: str) -> TextClause:
    """The upload of an id, with the rows of its batches by class and the bytes they cover. `edge` reads the spool directory.

    A batch that an earlier upload brought is counted there: the ledger has each batch once.
    """
    return PROGRESS.bindparams(id=upload_id, edge=edge)
