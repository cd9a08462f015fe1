"""The registry of series on a real Postgres: what one process has made, another finds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Engine

from telemetry.store.write.series_ids import Registry
from tests.batches import key
from tests.fixtures.services import Query

LARGEST_ID = "SELECT last_value FROM series_id_seq"


def registry(engine: Engine) -> Registry:
    return Registry(engine, ["DCGM_FI_DRIVER_VERSION"], 1000)


def test_another_process_finds_series_and_uses_up_no_ids(engine: Engine, query: Query) -> None:
    texts = [key(gpu=f"GPU-{n}", pod="p\u00e9 \\ \"{},'") for n in range(5)]
    (made,) = registry(engine).series_ids([texts])
    (largest,) = query(LARGEST_ID)
    (found,) = registry(engine).series_ids([texts[::-1]])
    assert found.tolist() == made.tolist()[::-1]
    assert query(LARGEST_ID) == [largest]


def test_new_series_are_made_beside_those_that_are_there(engine: Engine, query: Query) -> None:
    (first,) = registry(engine).series_ids([[key()]])
    second, third = registry(engine).series_ids([[key(), key("DCGM_FI_DEV_POWER_USAGE")], [key(pod="p"), key()]])
    assert (second[0], third[1]) == (first[0], first[0])
    assert len({*second.tolist(), *third.tolist()}) == 3
    assert query("SELECT count(*), count(pod) FROM series") == [(3, 1)]


def test_volatile_labels_lead_to_the_same_series(engine: Engine) -> None:
    one, other = key(DCGM_FI_DRIVER_VERSION="535"), key(DCGM_FI_DRIVER_VERSION="550")
    (ids,) = registry(engine).series_ids([[one, other]])
    assert ids[0] == ids[1]


def test_processes_that_ask_at_once_agree(engine: Engine) -> None:
    texts = [key(gpu=f"GPU-{n}") for n in range(200)]
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda order: registry(engine).series_ids([texts[::order]])[0], (1, -1))
    assert first.tolist() == second.tolist()[::-1]
