"""How fast the ledger grows."""

from __future__ import annotations

from sqlalchemy import Engine, text

from telemetry.store.read.rates import flow


def test_the_flow_is_of_each_edge_that_committed_lately(engine: Engine) -> None:
    rows = [("a/1", "1", "stored", 5, 2), ("a/1", "2", "dead", 5, 4), ("b/1", "3", "stored", 90, 1)]
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO sources (edge, path, fingerprint, format) VALUES ('a/1', 'p', 'f', 'dcgm')"))
        for edge, batch_id, status, age_s, latency_s in rows:
            connection.execute(
                text(
                    "INSERT INTO batches (edge, batch_id, source_id, status, start_offset, end_offset, first_line, rows,"
                    " stored, duplicate, conflict, blank, quarantined, read_at, published_at, committed_at)"
                    " SELECT :edge, :batch, id, :status, 0, 1, 2, 30, 20, 0, 0, 0, 1, now(),"
                    " now() - make_interval(secs => :published_s), now() - make_interval(secs => :age_s) FROM sources"
                ),
                {"edge": edge, "batch": batch_id, "status": status, "age_s": age_s, "published_s": age_s + latency_s},
            )
    with engine.connect() as connection:
        (one,) = flow(connection, 60)
        assert (one.edge, one.batches, one.rows, one.stored, one.quarantined, one.dead) == ("a/1", 2, 60, 40, 2, 1)
        assert (one.rows_per_s, one.latency_s) == (1.0, 3.0)
        assert [each.edge for each in flow(connection, 600)] == ["a/1", "b/1"]
        assert flow(connection, 1) == []
