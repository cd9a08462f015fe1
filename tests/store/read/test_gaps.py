"""The gap audit on a real ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import redis
from sqlalchemy import Engine

from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.readings.reported import Committed, Lost
from telemetry.settings import Settings
from telemetry.store.read import exporter, ingest
from telemetry.store.read.gaps import Gap, gaps, ledger_ranges
from telemetry.store.upkeep.ledger_folding import fold
from tests.batches import batch, key, readings
from tests.fixtures.services import Query
from tests.waiting import eventually


@pytest.fixture
def collector(settings: Settings, engine: Engine, redis_client: redis.Redis) -> Collector:
    return Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))


def commit(collector: Collector, start: int, end: int, path: str = "/data/a.csv", anchor: int | None = None) -> None:
    source = wire.Source("source-1", path, "fingerprint-1", "dcgm", anchor)
    name = f"b{start}-{anchor}"
    made = batch(readings((key(), start, 1.0)), name, start=start, end=end, first_line=start, source=source)
    collector.persist(*wire.encode(made))


def found(engine: Engine, older_than_s: float, *committed: Committed, lost: Sequence[Lost] = ()) -> list[Gap]:
    with engine.connect() as connection:
        return [gap for gap in gaps(connection, older_than_s, committed, lost) if gap.is_old]


def held(begin: int, end: int, path: str = "/data/a.csv", fingerprint: str = "fingerprint-1", **more: Any) -> Committed:
    return Committed("test/node", fingerprint, path, more.get("anchor"), begin, end)


def shown(gaps: list[Gap]) -> list[tuple[str, int, int]]:
    return [(gap.path, gap.start, gap.end) for gap in gaps]


def test_what_an_edge_holds_for_committed_and_the_ledger_has_not_is_a_gap(collector: Collector, engine: Engine) -> None:
    commit(collector, 200, 300)
    # A first batch that was lost, a tail that was forgotten, a source of which the ledger knows nothing.
    assert shown(found(engine, 60, held(100, 400))) == [("/data/a.csv", 300, 400)]
    eventually(lambda: shown(found(engine, 0.05, held(100, 400))) == [("/data/a.csv", 100, 200), ("/data/a.csv", 300, 400)])
    assert shown(found(engine, 60, held(7, 99, "/data/b.csv", "fingerprint-2"))) == [("/data/b.csv", 7, 99)]
    # Given up as lost by the edge itself, which has reported it: nobody need look for it here.
    assert found(engine, 0, held(100, 300), lost=[Lost("test/node", "fingerprint-1", 100, 200)]) == []


def test_copies_renamed_files_and_abandoned_passes_are_no_gaps(collector: Collector, engine: Engine) -> None:
    commit(collector, 100, 200)
    commit(collector, 200, 300, "/data/renamed.csv")
    assert found(engine, 0, held(100, 300, "/data/renamed.csv"), held(100, 300, "/data/copy.csv")) == []
    commit(collector, 100, 200, anchor=1)
    commit(collector, 300, 400, anchor=1)
    commit(collector, 100, 200, anchor=2)
    assert found(engine, 0, held(100, 200, anchor=2)) == []


def totals(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        sources = [tuple(row) for row in connection.execute(ingest.sources(ingest.SourceFilter()))]
        edges = [tuple(row) for row in connection.execute(ingest.edges())]
        return [sources, edges, list(exporter.totals(connection, 9)), exporter.commit_age_s(connection) is None]


def test_a_folded_ledger_tells_the_same(collector: Collector, engine: Engine, query: Query) -> None:
    for start, end in ((100, 200), (200, 300), (300, 400), (500, 600)):
        commit(collector, start, end)
    commit(collector, 0, 50, anchor=1)
    commit(collector, 0, 50, anchor=2)
    header, payload = wire.encode(batch(readings((key(), 0, 1.0)), "dead", start=400, end=500))
    collector.persist({**header, "digest": "0" * 32}, payload)
    before = totals(engine)
    with engine.begin() as connection:
        assert [fold(connection, *limits) for limits in ((60, 9), (0, 2), (0, 9), (0, 9))] == [0, 2, 4, 0]
    assert totals(engine) == before
    assert query("SELECT batch_id FROM batches") == [("dead",)]
    folded = "SELECT anchor, start_offset, end_offset, batches, rows FROM ledger_ranges ORDER BY 1, 2"
    assert query(folded) == [(-1, 0, 50, 1, 1), (2, 0, 50, 1, 1), (None, 100, 400, 3, 3), (None, 500, 600, 1, 1)]
    assert found(engine, 0, held(100, 600)) == []
    assert shown(found(engine, 0, held(100, 700))) == [("/data/a.csv", 600, 700)]
    with engine.connect() as connection:
        ranges = ledger_ranges(connection, "test/node", "fingerprint-1", "/data/a.csv", None)
    assert ranges == [(100, 300, 100), (300, 400, 300), (400, 500, 2), (500, 600, 500)]


def test_a_gap_that_stays_is_reported_until_it_closes(collector: Collector, engine: Engine) -> None:
    for start, end in ((100, 200), (300, 400), (400, 500), (150, 180)):
        commit(collector, start, end)
    with engine.connect() as connection:
        (young,) = gaps(connection, 60)
    assert (young.start, young.end, young.is_old) == (200, 300, False)
    (gap,) = eventually(lambda: found(engine, 0.05))
    assert (gap.edge, gap.path, gap.start, gap.end) == ("test/node", "/data/a.csv", 200, 300)
    commit(collector, 200, 300)
    assert found(engine, 0) == []


def test_the_ledger_tells_what_it_has_of_a_source(collector: Collector, engine: Engine) -> None:
    commit(collector, 300, 400)
    commit(collector, 100, 200)
    with engine.connect() as connection:
        ranges = ledger_ranges(connection, "test/node", "fingerprint-1", "/data/a.csv", None)
        assert ranges == [(100, 200, 100), (300, 400, 300)]
        assert ledger_ranges(connection, "test/node", "fingerprint-1", "/data/a.csv", 5) == []
