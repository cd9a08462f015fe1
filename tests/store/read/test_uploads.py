"""How far an upload is, as the ledger tells."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, text

from telemetry.store import uploads
from telemetry.store.read.uploads import progress
from telemetry.store.uploads import NewUpload

EDGE = "central/uploads"


def test_an_upload_has_the_batches_of_the_file_of_its_name(engine: Engine) -> None:
    with engine.begin() as connection:
        uploads.add(connection, NewUpload("u1", "u1.csv", "f", 10, 100), "a test")

    def counts(upload_id: str, edge: str = EDGE) -> tuple[Any, ...] | None:
        with engine.connect() as connection:
            row = connection.execute(progress(upload_id, edge)).first()
        return (
            None
            if row is None
            else (row.start_bytes, row.size_bytes, row.covered_bytes, row.batches, row.dead_batches, row.rows)
        )

    assert (counts("u1"), counts("u2")) == ((10, 100, 0, 0, 0, 0), None)
    with engine.begin() as connection:
        assert connection.execute(text("SELECT actor, action, target, detail FROM audit_log")).all() == [
            ("a test", "upload", "u1", {"size_bytes": 100})
        ]
        for path, batch_id, status in (
            ("/spool/u1.csv", "b", "stored"),
            ("/spool/xu1.csv", "c", "stored"),
            ("/at/u1.csv", "d", "dead"),
        ):
            connection.execute(
                text(
                    "WITH s AS (INSERT INTO sources (edge, path, fingerprint, format) VALUES (:edge, :path, 'f', 'dcgm')"
                    " RETURNING id) INSERT INTO batches (edge, batch_id, source_id, status, start_offset, end_offset,"
                    " first_line, rows, stored, duplicate, conflict, blank, quarantined, read_at, published_at)"
                    " SELECT :edge, :batch, id, :status, 10, 60, 2, 5, 5, 0, 0, 0, 0, now(), now() FROM s"
                ),
                {"edge": EDGE, "path": path, "batch": batch_id, "status": status},
            )
    assert counts("u1") == (10, 100, 100, 2, 1, 10)
    assert counts("u1", "another/edge") == (10, 100, 0, 0, 0, 0)
