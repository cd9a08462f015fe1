"""Upkeep neither fails nor delays the group it comes after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Connection, Engine, create_engine, text

from telemetry.collector import upkeep as upkeep_module
from telemetry.collector.upkeep import BUSY_S, REST, Plan, Upkeep
from telemetry.settings import Settings
from telemetry.store.upkeep import chores
from telemetry.store.upkeep.chores import LEDGER_FOLDING, Chore
from tests.fixtures.services import Query

BATCHES = text("""
    INSERT INTO batches (edge, batch_id, source_id, start_offset, end_offset, first_line, status,
                         rows, stored, duplicate, conflict, blank, quarantined, read_at, published_at, committed_at)
    SELECT edge, n::text, id, n, n + 1, n, 'stored', 1, 1, 0, 0, 0, 0, now(), now(), '2020-01-01'
    FROM sources, generate_series(1, 2) AS n
""")


def fail(*_: object) -> int:
    raise SoftTimeLimitExceeded


def noting(done: list[str], name: str) -> Callable[[Connection, Settings, int], int]:
    """A chore that notes its name, and has more to do."""

    def work(_: Connection, __: Settings, limit: int) -> int:
        done.append(name)
        return limit

    return work


def all_of_it(_: Connection, __: Settings, limit: int) -> int:
    return limit


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that does not rest between chores."""
    monkeypatch.setattr(upkeep_module, "REST", 0.0)


@pytest.fixture
def due(settings: Settings, engine: Engine) -> Upkeep:
    """Upkeep whose one chore is always due."""
    return Upkeep(engine, settings, [replace(LEDGER_FOLDING, interval_s=0.0)])


@pytest.fixture
def batches(engine: Engine) -> None:
    """Two batches that are old enough to be folded."""
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO sources (edge, path, fingerprint, format) VALUES ('e', 'p', 'f', 'dcgm')"))
        connection.execute(BATCHES)


@pytest.mark.usefixtures("batches")
def test_after_a_group_that_took_long_nothing_is_done(due: Upkeep) -> None:
    assert [due.tend(BUSY_S + 1), due.tend(BUSY_S / 2)] == [0, 2]


@pytest.mark.usefixtures("batches")
def test_a_chore_that_takes_long_is_given_up(
    due: Upkeep, engine: Engine, query: Query, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(chores, "TIMEOUT_S", 1)
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE batches"))
        assert due.tend(0) == 0
    assert "statement timeout" in caplog.text
    assert due.tend(0) == 2
    assert query("SELECT batches FROM ledger_ranges") == [(2,)]


def test_a_time_limit_that_strikes_now_does_not_fail_the_group(engine: Engine, settings: Settings) -> None:
    assert Upkeep(engine, settings, [Chore("failing", 7, 0.0, 9, fail)]).tend(0) == 0


def test_a_chore_that_fails_does_not_hold_up_the_others(engine: Engine, settings: Settings) -> None:
    upkeep = Upkeep(engine, settings, [Chore("failing", 7, 0.0, 9, fail), Chore("working", 8, 0.0, 5, all_of_it)])
    assert [upkeep.tend(0) for _ in range(4)] == [5, 5, 5, 5]


def test_all_that_are_due_are_done_after_one_group(engine: Engine, settings: Settings) -> None:
    """Where groups are few, each chore comes in its time."""
    done: list[str] = []
    upkeep = Upkeep(engine, settings, [Chore(name, n, 0.0, 5, noting(done, name)) for n, name in enumerate("abc", 7)])
    for _ in range(2):
        upkeep.tend(0)
    assert done == ["a", "b", "c", "a", "b", "c"]


def test_a_group_waits_for_one_chore_that_takes_long_and_the_others_come_next(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep_module, "TEND_S", 0.0)
    done: list[str] = []
    # Each of them has more to do at any time.
    upkeep = Upkeep(engine, settings, [Chore(name, n, 0.0, 5, noting(done, name)) for n, name in enumerate("abc", 7)])
    for _ in range(6):
        upkeep.tend(0)
    assert done == ["a", "b", "c", "a", "b", "c"]


def test_a_chore_that_is_not_due_is_not_done(engine: Engine, settings: Settings) -> None:
    assert Upkeep(engine, settings, [Chore("working", 8, 60.0, 5, all_of_it)]).tend(0) == 0


def test_each_failure_halves_what_is_done_at_once_and_each_success_doubles_it() -> None:
    plan = Plan(replace(LEDGER_FOLDING, max_rows=8))
    limits = []
    for _ in range(5):
        plan.failed()
        limits.append(plan.limit)
    for _ in range(4):
        plan.succeeded(0)
        limits.append(plan.limit)
    assert limits == [4, 2, 1, 1, 1, 2, 4, 8, 8]


def test_a_chore_that_did_all_it_might_is_due_again_at_once() -> None:
    plan = Plan(LEDGER_FOLDING)
    before_s = plan.due_s
    plan.succeeded(plan.limit - 1)
    assert plan.due_s == before_s
    plan.succeeded(plan.limit)
    assert plan.due_s < before_s


def test_chores_that_are_always_due_take_a_quarter_of_the_time_at_most(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of them together, too, as after an outage."""
    now_s, spent = [1000.0], dict.fromkeys(("a", "b", "seldom"), 0)
    monkeypatch.setattr(upkeep_module, "REST", REST)
    monkeypatch.setattr(upkeep_module, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    monkeypatch.setattr(chores, "run", lambda engine, settings, chore, limit: chore.work(engine, settings, limit))

    def taking(name: str) -> Callable[[Connection, Settings, int], int]:
        def work(_: Connection, __: Settings, limit: int) -> int:
            now_s[0] += 1
            spent[name] += 1
            return limit

        return work

    always = [Chore(name, n, 0.0, 5, taking(name)) for n, name in enumerate("ab", 7)]
    upkeep = Upkeep(
        create_engine("sqlite://"), settings, [*always, Chore("seldom", 9, 20.0, 5, taking("seldom"), urgent=False)]
    )
    for _ in range(4000):
        now_s[0] += 0.1
        upkeep.tend(0.1)
    urgent_share = (spent["a"] + spent["b"]) / (now_s[0] - 1000)
    assert 0.15 < urgent_share <= 0.25
    assert abs(spent["a"] - spent["b"]) <= 1
    # Its own interval is all that it waits for, with the jitter of that.
    assert (now_s[0] - 1000) / 22 < spent["seldom"] < (now_s[0] - 1000) / 9
