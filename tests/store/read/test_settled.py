"""What the ledger says of batches that were just published: what it had before is known, whatever it was then."""

from __future__ import annotations

from sqlalchemy import Engine, text

from telemetry.store.read.settled import Settled, now, settled

BATCH = text("""
    WITH made AS (
        INSERT INTO sources (edge, path, fingerprint, format) VALUES ('e/n', '/f', 'f', 'dcgm')
        ON CONFLICT (edge, fingerprint, path) DO UPDATE SET format = 'dcgm' RETURNING id
    )
    INSERT INTO batches (edge, batch_id, source_id, status, start_offset, end_offset, first_line, rows, stored, duplicate,
                         conflict, blank, quarantined, read_at, published_at)
    SELECT 'e/n', :batch_id, id, 'stored', 0, 1, 1, 9, :stored, :duplicate, :conflict, 0, 0, now(), now() FROM made
""")


def test_what_was_stored_before_is_known(engine: Engine) -> None:
    with engine.connect() as plain:
        connection = plain.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(BATCH, {"batch_id": "before", "stored": 4, "duplicate": 2, "conflict": 1})
        since = now(connection)
        connection.execute(BATCH, {"batch_id": "new", "stored": 5, "duplicate": 1, "conflict": 3})
        assert settled(connection, "e/n", {"before": 1, "new": 1}, since) == Settled(new=5, known=7, conflict=4, expired=0)
        assert settled(connection, "e/n", {"before": 1, "new": 3}, since) == Settled(
            new=5, known=6 + 10 + 3, conflict=10, expired=0
        )
        assert settled(connection, "e/n", {"before": 1}, since) == Settled(new=0, known=6, conflict=1, expired=0)
        assert settled(connection, "e/n", {}, since) == Settled(new=0, known=0, conflict=0, expired=0)


def test_a_ledger_that_does_not_have_all_of_them_tells_nothing(engine: Engine) -> None:
    with engine.connect() as plain:
        connection = plain.execution_options(isolation_level="AUTOCOMMIT")
        since = now(connection)
        connection.execute(BATCH, {"batch_id": "new", "stored": 5, "duplicate": 0, "conflict": 0})
        assert settled(connection, "e/n", {"new": 1, "another": 1}, since) is None
        assert settled(connection, "other/n", {"new": 1}, since) is None
