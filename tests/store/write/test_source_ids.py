"""The ids of sources on a real Postgres: what one process has inserted, another finds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Engine

from telemetry.readings.wire import Source
from telemetry.store.write.source_ids import SourceIds
from tests.fixtures.services import Query


def source(n: int) -> tuple[str, Source]:
    return "test/node", Source(f"source-{n}", f"/data/{n}.csv", "fingerprint", "dcgm", None)


def test_a_source_is_known_by_edge_path_and_fingerprint(engine: Engine, query: Query) -> None:
    ids = SourceIds(engine, 100)
    first, second, again = ids.resolve([source(1), source(2), source(1)])
    assert first == again != second
    (other_edge,) = SourceIds(engine, 100).resolve([("test/other", source(1)[1])])
    assert other_edge not in {first, second}
    assert SourceIds(engine, 100).resolve([source(2)]) == [second]
    assert query("SELECT count(*) FROM sources") == [(3,)]


def test_a_full_cache_keeps_only_what_the_batch_needs_and_resolves_all(engine: Engine) -> None:
    ids = SourceIds(engine, 2)
    first = ids.resolve([source(1), source(2)])
    second = ids.resolve([source(2), source(3)])
    assert second[0] == first[1]
    assert ids.resolve([source(n) for n in (1, 2, 3)]) == [*first, second[1]]


def test_processes_that_ask_at_once_agree(engine: Engine) -> None:
    sources = [source(n) for n in range(100)]
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda order: SourceIds(engine, 100).resolve(sources[::order]), (1, -1))
    assert first == second[::-1]
