"""Only a fresh outcome is acknowledged."""

from __future__ import annotations

from time import monotonic
from typing import Any, Literal

import pytest
import redis

from telemetry.collector.outcome import Outcome
from telemetry.collector.settlements import STALE_S, Settlements
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.trust.keyring import Keyring
from tests.batches import batch, key, readings

HEADERS = [wire.encode(batch(readings((key(), 0, 1.0)), name))[0] for name in ("b1", "b2")]


@pytest.fixture
def settlements(settings: Settings, redis_client: redis.Redis) -> Settlements:
    return Settlements(Acks(redis_client, Keys(settings.key_prefix), 60), "central", Keyring.of(settings, dict))


def acks(client: redis.Redis, settings: Settings) -> dict[Any, Any]:
    return dict(client.hgetall(Keys(settings.key_prefix).acks("test/node", "source-1")))


def test_the_edge_is_told_what_the_ledger_says(settlements: Settlements, redis_client: redis.Redis, settings: Settings) -> None:
    settlements.acknowledge([(HEADERS[0], Outcome("known", monotonic())), (HEADERS[1], Outcome("known dead", monotonic()))])
    assert acks(redis_client, settings) == {b"b1": b"stored", b"b2": b"dead"}


def test_one_stale_outcome_keeps_all_of_its_group_unacknowledged(
    settlements: Settlements, redis_client: redis.Redis, settings: Settings
) -> None:
    stale, fresh = Outcome("known", monotonic() - STALE_S - 1), Outcome("known", monotonic())
    with pytest.raises(TimeoutError):
        settlements.acknowledge([(HEADERS[0], stale), (HEADERS[1], fresh)])
    assert acks(redis_client, settings) == {}


@pytest.mark.parametrize(("header", "status"), [(None, "dead"), (HEADERS[0], "probe")])
def test_what_tells_nothing_of_the_ledger_keeps_no_group_back(
    settlements: Settlements,
    redis_client: redis.Redis,
    settings: Settings,
    header: dict[str, object] | None,
    status: Literal["dead", "probe"],
) -> None:
    old, fresh = Outcome(status, monotonic() - STALE_S - 1), Outcome("known", monotonic())
    settlements.acknowledge([(header, old), (HEADERS[1], fresh)])
    assert acks(redis_client, settings)[b"b2"] == b"stored"


def test_an_old_commit_is_acknowledged_once_the_ledger_has_been_asked_again(
    settlements: Settlements, redis_client: redis.Redis, settings: Settings
) -> None:
    committed = Outcome("stored", monotonic() - STALE_S - 1, {"stored": 1})
    settlements.committed("test/node", "b1", committed)
    with pytest.raises(TimeoutError):
        settlements.acknowledge([(HEADERS[0], committed)])
    settlements.acknowledge([(HEADERS[0], Outcome("known", monotonic()))])
    assert acks(redis_client, settings) == {b"b1": b"stored"}


def test_nothing_to_acknowledge_is_nothing(settlements: Settlements) -> None:
    settlements.acknowledge([])
