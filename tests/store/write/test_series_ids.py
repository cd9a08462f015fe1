"""The ids of series on a real Postgres: what one process has inserted, another finds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine, event, text

from telemetry.readings.wire import WireError
from telemetry.store.rules import Rule
from telemetry.store.write.series_ids import SeriesIds
from telemetry.store.write.stretches import Content
from tests.batches import key, of_texts
from tests.before import series_of_before
from tests.fixtures.services import Query

LARGEST_ID = "SELECT last_value FROM series_id_seq"


RULE = Rule(frozenset({"DCGM_FI_DRIVER_VERSION"}), frozenset({"pod"}))


def series_ids(engine: Engine, cache_size: int = 1000) -> SeriesIds:
    return SeriesIds(engine, RULE, cache_size)


def ids_of(series_ids: SeriesIds, *texts: str, edge: str | None = None) -> list[int]:
    """The ids of the series of a batch."""
    batch = of_texts(*texts)
    (ids,) = series_ids.resolve([Content.of(batch if edge is None else replace(batch, edge=edge))]).ids
    return list(ids.tolist())


def test_another_process_finds_series_and_uses_up_no_ids(engine: Engine, query: Query) -> None:
    texts = [key(gpu=f"GPU-{n}", pod="p\u00e9 \\ \"{},'") for n in range(5)]
    first = ids_of(series_ids(engine), *texts)
    (largest,) = query(LARGEST_ID)
    again = ids_of(series_ids(engine), *texts[::-1])
    assert again == first[::-1]
    assert query(LARGEST_ID) == [largest]


def test_new_series_are_made_beside_those_that_are_there(engine: Engine, query: Query) -> None:
    first = ids_of(series_ids(engine), key())
    batches = [of_texts(key(), key("DCGM_FI_DEV_POWER_USAGE")), of_texts(key(GPU_I_ID="1"), key())]
    second, third = series_ids(engine).resolve([Content.of(batch) for batch in batches]).ids
    assert (second[0], third[1]) == (first[0], first[0])
    assert len({*second.tolist(), *third.tolist()}) == 3
    assert query("SELECT count(*), count(mig_instance) FROM series") == [(3, 1)]


def test_volatile_labels_lead_to_the_same_series(engine: Engine) -> None:
    one, other = key(DCGM_FI_DRIVER_VERSION="535"), key(DCGM_FI_DRIVER_VERSION="550")
    ids = ids_of(series_ids(engine), one, other)
    assert ids[0] == ids[1]


def test_owners_make_no_series(engine: Engine, query: Query) -> None:
    ids = ids_of(series_ids(engine), key(), *(key(pod=f"p{n}") for n in range(50)))
    assert set(ids) == {ids[0]}
    assert query("SELECT count(*), count(pod), bool_or(of_owner) FROM series") == [(1, 0, False)]


def test_a_series_that_was_made_of_an_owner_goes_on_and_no_other_does(engine: Engine, query: Query) -> None:
    before = series_of_before(engine, key(), key(pod="old"))
    with engine.begin() as connection:
        connection.execute(text("UPDATE series SET of_owner = true WHERE pod IS NOT NULL"))
    # As a collector of before makes it while others are of this version.
    series_of_before(engine, key(pod="meanwhile"))
    for order in (1, -1):
        texts = [key(), key(pod="old"), key(pod="new"), key(pod="meanwhile")][::order]
        ids = ids_of(series_ids(engine), *texts)
        assert ids[::order] == [before[0], before[1], before[0], before[0]]
    assert query("SELECT count(*) FROM series") == [(3,)]


def test_processes_that_ask_at_once_agree(engine: Engine) -> None:
    texts = [key(gpu=f"GPU-{n}") for n in range(200)]
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda order: ids_of(series_ids(engine), *texts[::order]), (1, -1))
    assert first == second[::-1]


def test_a_full_cache_keeps_only_what_the_batch_needs_and_resolves_all(engine: Engine) -> None:
    texts = [key(gpu=f"GPU-{n}") for n in range(5)]
    small = series_ids(engine, cache_size=3)
    first, second = ids_of(small, *texts[:3]), ids_of(small, *texts[2:])
    assert second[0] == first[2]
    assert ids_of(small, *texts) == [*first, *second[1:]]


def test_edges_that_take_turns_find_a_part_of_their_series_in_a_cache_that_is_too_small(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    edges, turns, looked_up = [f"edge/{n}" for n in range(5)], 20, []
    event.listen(engine, "before_cursor_execute", lambda *said: looked_up.append(said[2]) if "s.of_owner" in said[2] else None)
    small = series_ids(engine, cache_size=8)
    of_edges = {edge: [key(gpu=f"GPU-{edge}-{n}") for n in range(2)] for edge in edges}
    seen = {edge: ids_of(small, *texts, edge=edge) for edge, texts in of_edges.items()}
    looked_up.clear()
    for _ in range(turns):
        for edge in edges:
            assert ids_of(small, *of_edges[edge], edge=edge) == seen[edge]
    assert 0 < len(looked_up) < turns * len(edges)
    assert "TELEMETRY_SERIES_CACHE_SIZE" in caplog.text


def test_ids_are_looked_up_again_after_they_were_forgotten(engine: Engine) -> None:
    ids = series_ids(engine)
    ids_of(ids, key())
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE series RESTART IDENTITY CASCADE"))
        connection.execute(text("SELECT setval('series_id_seq', 70)"))
    ids.forget()
    assert ids_of(ids, key()) == [71]


def test_a_text_that_is_not_a_series_is_refused(engine: Engine, query: Query) -> None:
    with pytest.raises(WireError):
        ids_of(series_ids(engine), key(), "not a series")
    assert query("SELECT count(*) FROM series") == [(0,)]
