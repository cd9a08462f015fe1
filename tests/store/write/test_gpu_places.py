"""GPUs that files name by host and index alone: whose they are, by who tells of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine, text

from telemetry.readings import wire
from telemetry.readings.series import SeriesKey
from telemetry.store.read.same_names import SameName, same_names
from telemetry.store.rules import Rule
from telemetry.store.write.gpu_places import Teller, identity
from telemetry.store.write.series_ids import SeriesIds
from telemetry.store.write.stretches import Content
from tests.batches import of_texts
from tests.fixtures.services import Query

RULE = Rule(frozenset(), frozenset())
PLACES = "SELECT edge, place, identity FROM gpu_places JOIN gpus g ON g.id = gpu_id ORDER BY 1, 3"


def told(uuid: str = "", host: str = "localhost") -> str:
    """The text of a series of a GPU at a place."""
    return SeriesKey("DCGM_FI_DEV_GPU_UTIL", uuid, host, 0, "", "", {}).text()


def batch_of(edge: str, *texts: str, fingerprint: str = "") -> wire.Batch:
    """Readings of these series, from a file of an edge's own or one that begins with what."""
    batch = of_texts(*texts)
    return replace(batch, edge=edge, source=wire.Source("s", "/gpu.csv", fingerprint or edge, "dcgm", None))


def stored(engine: Engine, *batches: wire.Batch) -> list[int]:
    """The first series of each batch, after its source was entered."""
    with engine.begin() as connection:
        for batch in batches:
            row = {"edge": batch.edge, "fingerprint": batch.source.fingerprint}
            query = "INSERT INTO sources (edge, path, fingerprint, format) VALUES (:edge, '/', :fingerprint, 'dcgm')"
            connection.execute(text(query + " ON CONFLICT DO NOTHING"), row)
    return [int(ids[0]) for ids in SeriesIds(engine, RULE, 100).resolve([Content.of(batch) for batch in batches]).ids]


@pytest.mark.parametrize("together", [True, False])
def test_two_edges_that_tell_of_the_same_place_are_kept_apart_for_ever(
    engine: Engine, query: Query, together: bool, caplog: pytest.LogCaptureFixture
) -> None:
    batches = [batch_of("a/one", told()), batch_of("a/two", told())]
    both = stored(engine, *batches) if together else [stored(engine, batch)[0] for batch in batches]
    assert both[0] != both[1]
    for order in (1, -1):
        assert stored(engine, *batches[::order]) == both[::order]
    assert query(PLACES) == [("a/one", "localhost:0", "localhost:0"), ("a/two", "localhost:0", "a/two/localhost:0")]
    assert "a/two tells of a GPU localhost:0, as a/one does" in caplog.text


def test_they_are_told_while_both_are_read(engine: Engine) -> None:
    def told_twice() -> list[SameName]:
        with engine.begin() as connection:
            return same_names(connection)

    stored(engine, batch_of("a/one", told()), batch_of("a/two", told()), batch_of("b/one", told()))
    assert told_twice() == []
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO allocations SELECT g.id, current_date, '', o.id, '{}' FROM gpus g, owners o"))
    assert told_twice() == [("a/one", "localhost:0", "a/two"), ("a/two", "localhost:0", "a/one")]
    with engine.begin() as connection:
        connection.execute(text("UPDATE allocations SET day = day - 2"))
    assert told_twice() == []


def test_the_same_gpu_told_by_two_edges_with_its_uuid_is_one(engine: Engine) -> None:
    first, second = stored(engine, batch_of("a/one", told("GPU-1")), batch_of("b/two", told("GPU-1")))
    assert first == second


def test_one_file_that_two_edges_read_is_of_one_gpu(engine: Engine) -> None:
    first, second = stored(engine, batch_of("a/one", told(), fingerprint="f"), batch_of("a/two", told(), fingerprint="f"))
    assert first == second


def test_a_gpu_of_before_is_that_of_the_edge_that_tells_of_it_first(engine: Engine, query: Query) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO gpus (identity, host, gpu_index) VALUES ('localhost:0', 'localhost', 0)"))
    stored(engine, batch_of("a/one", told()), batch_of("a/two", told()))
    assert query("SELECT identity FROM gpus ORDER BY id") == [("localhost:0",), ("a/two/localhost:0",)]


def test_processes_that_meet_a_place_at_once_agree(engine: Engine, query: Query) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: stored(engine, batch_of(f"a/{n % 2}", told())), range(4)))
    assert found[0] == found[2] != found[1] == found[3]
    assert query("SELECT count(*) FROM gpus") == [(2,)]


ONE, OTHER = Teller("a/one", "localhost:0", has_file=False), Teller("a/two", "a/two/localhost:0", has_file=False)


@pytest.mark.parametrize(
    ("edge", "tellers", "expected"),
    [
        ("a/two", [], "localhost:0"),
        ("b/two", [ONE], "b/two/localhost:0"),
        ("b/two", [ONE._replace(has_file=True)], "localhost:0"),
        ("ingest/two", [ONE], "localhost:0"),
        ("central/uploads", [ONE], "localhost:0"),
        ("ingest/two", [ONE, OTHER], "ingest/two/localhost:0"),
        ("ingest/two", [ONE, OTHER._replace(has_file=True)], "a/two/localhost:0"),
        ("a/one", [Teller("ingest/two", "localhost:0", has_file=False)], "localhost:0"),
    ],
)
def test_what_comes_from_elsewhere_is_of_the_gpu_that_is_there(edge: str, tellers: list[Teller], expected: str) -> None:
    assert identity(edge, "localhost:0", tellers) == expected
