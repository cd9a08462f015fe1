"""The rules of labels on a real Postgres: the first is what the first collector is set to, others hold from a time on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import redis
from sqlalchemy import Engine, text

from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.store import rules
from telemetry.store.rules import OtherRulesError, Rule
from tests.batches import batch, key, now_s, readings
from tests.before import series_of_before
from tests.fixtures.services import Query

PODS = Rule(frozenset({"driver"}), frozenset({"pod"}))
RELEASES = Rule(frozenset({"driver", "release"}), frozenset({"pod"}))
SERIES = "SELECT labels->>'release', count(*) FROM samples JOIN series ON id = series_id GROUP BY 1 ORDER BY 1 NULLS FIRST"

Collectors = Callable[[Rule], Collector]


@pytest.fixture
def collectors(settings: Settings, engine: Engine, redis_client: redis.Redis) -> Collectors:
    """Makes a collector that is set to a rule."""

    def made(rule: Rule) -> Collector:
        given = replace(settings, volatile_labels=tuple(rule.volatile), owner_labels=tuple(rule.owner))
        return Collector(given, engine, Acks(redis_client, Keys(settings.key_prefix), 60))

    return made


def store(collector: Collector, name: str, *rows: tuple[str, int, float]) -> Mapping[str, int]:
    """Store readings as an edge would send them."""
    return collector.persist(*wire.encode(batch(readings(*rows), name))).rows


def change(engine: Engine, rule: Rule) -> Rule | None:
    with engine.begin() as connection:
        return rules.change(connection, rule)


def test_the_first_process_writes_down_what_it_is_set_to(engine: Engine) -> None:
    def load(rule: Rule) -> list[Rule]:
        with engine.begin() as connection:
            return rules.load(connection, rule)

    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(load, (PODS, RELEASES, PODS, RELEASES))
    assert first == others[0] == others[1] == others[2]
    assert len(first) == 1
    assert first[0].since is None


def test_a_process_with_other_rules_is_told_what_differs_and_what_to_do(engine: Engine) -> None:
    with engine.begin() as connection:
        rules.check(connection, PODS)
        rules.check(connection, PODS)
        with pytest.raises(OtherRulesError) as told:
            rules.check(connection, replace(RELEASES, owner=frozenset({"user"})))
    assert str(told.value) == (
        "TELEMETRY_VOLATILE_LABELS names release, the database does not; TELEMETRY_OWNER_LABELS names user, the database does "
        "not and lacks pod, which the database has: set it back, or run telemetry db rules change with these settings, so that "
        "readings keep their series"
    )


def test_readings_of_before_a_change_keep_their_series_whoever_stores_them_again(
    collectors: Collectors, engine: Engine, query: Query
) -> None:
    rows = [(key(release=name), second, 1.0) for name in ("a", "b") for second in range(5)]
    running = collectors(PODS)
    assert store(running, "b1", *rows)["stored"] == 10
    made = change(engine, RELEASES)
    assert made is not None
    # The ledger has forgotten the ids of the batches, or they are cut in another way.
    for n, collector in enumerate((running, collectors(RELEASES), collectors(PODS))):
        counts = store(collector, f"again-{n}", *rows, (key(release="a"), 90 + n, 1.0))
        assert (counts["stored"], counts["duplicate"]) == (1, 10)
    assert query(SERIES) == [("a", 8), ("b", 5)]


def test_from_a_change_on_a_running_collector_goes_by_the_new_rule(
    collectors: Collectors, engine: Engine, query: Query
) -> None:
    running = collectors(PODS)
    ahead = now_s() + 600
    store(running, "b1", (key(release="a", pod="p"), ahead, 1.0))
    made = change(engine, RELEASES)
    assert made is not None
    assert made.since is not None
    since = int((made.since - datetime(2025, 7, 18, 20, 42, 34, tzinfo=UTC)).total_seconds())
    # Later than whatever is stored, and not before.
    assert ahead < since <= ahead + 2
    rows = [(key(release=name, pod="p"), since + second, 1.0) for name, second in (("a", -1), ("a", 0), ("b", 1))]
    assert store(running, "b2", *rows)["stored"] == 2
    assert store(collectors(RELEASES), "b3", *rows)["duplicate"] == 3
    assert query(SERIES) == [(None, 2), ("a", 1)]
    # A second content under a known id is still told from a copy.
    assert running.persist(*wire.encode(batch(readings(*rows), "b2"))).status == "known"


def test_owners_of_before_a_change_stay_what_they_were(collectors: Collectors, engine: Engine, query: Query) -> None:
    running = collectors(PODS)
    store(running, "b1", (key(pod="p", team="t"), 0, 1.0))
    change(engine, replace(PODS, owner=frozenset({"pod", "team"})))
    store(running, "b2", (key(pod="p", team="t"), 0, 1.0), (key(pod="p", team="t"), now_s() + 60, 1.0))
    assert query("SELECT labels FROM owners ORDER BY id") == [({"pod": "p"},), ({"pod": "p", "team": "t"},)]
    assert query("SELECT labels FROM series ORDER BY id") == [({"team": "t"},), ({},)]
    assert query("SELECT count(*) FROM samples") == [(2,)]


def test_what_is_the_rule_already_is_not_changed(engine: Engine, query: Query) -> None:
    assert change(engine, PODS) is None
    assert change(engine, PODS) is None
    assert query("SELECT count(*) FROM label_rules") == [(1,)]


def test_no_rule_is_made_up_for_series_that_nobody_told_the_rule_of(engine: Engine) -> None:
    series_of_before(engine, key(release="a"))
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM label_rules"))
    with pytest.raises(OtherRulesError, match="start a collector set to them"):
        change(engine, RELEASES)


def test_each_time_has_its_rule() -> None:
    known = [Rule(frozenset(), frozenset(), n, None, since) for n, since in enumerate((rules.ALWAYS_US, 0, 10))]
    assert rules.places(known, np.array([-(1 << 62), -1, 0, 9, 10, 1 << 62])).tolist() == [0, 0, 1, 1, 2, 2]
