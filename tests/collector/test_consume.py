"""A real worker merges the messages that it fetches; one that harms it harms no other message."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest
import redis
from sqlalchemy import Engine, text

from telemetry.celery import make_app
from telemetry.collector.attempts import MAX_ATTEMPTS
from telemetry.collector.tasks import CONDEMNED
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.streamer.publish import publisher
from tests.batches import T0_US, batch, key, readings
from tests.faults.poisons import NO_LETTERS, call, poisons, push_all
from tests.faults.proxy import Proxy
from tests.fixtures.processes import Start
from tests.fixtures.services import Query
from tests.waiting import eventually

ROOT = str(Path(__file__).parents[2])
WAITING = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'batches'::regclass"
TRANSACTIONS = "SELECT count(*), count(DISTINCT xmin::text) FROM batches"


@pytest.fixture
def publish(settings: Settings) -> Callable[..., None]:
    """Publish batches with these ids, of one reading each."""
    send = publisher(make_app(replace(settings, role="edge")), settings)

    def begin(*names: str) -> None:
        send([wire.encode(batch(readings((key(), n, 1.0)), name, start=n, end=n + 1)) for n, name in enumerate(names)])

    return begin


def test_small_messages_share_a_transaction_and_each_is_acknowledged(
    start_collector: Callable[..., object],
    publish: Callable[..., None],
    settings: Settings,
    redis_client: redis.Redis,
    query: Query,
) -> None:
    names = [f"b{n}" for n in range(200)]
    publish(*names)
    start_collector(TELEMETRY_POLL_INTERVAL_S="0.2")
    eventually(lambda: query("SELECT count(*) FROM samples") == [(200,)], 20)
    [(batches, transactions)] = query(TRANSACTIONS)
    assert batches == 200
    assert transactions <= 20
    keys = Keys(settings.key_prefix)
    acks: dict[Any, Any] = eventually(lambda: redis_client.hgetall(keys.acks("test/node", "source-1")))
    assert {name: text.split(b" ")[0] for name, text in acks.items()} == {name.encode(): b"stored" for name in names}
    unacked = keys.unacked("central")
    eventually(lambda: redis_client.hlen(unacked) == 0)


def test_a_collector_says_once_that_the_server_may_lose_commits(
    start_collector: Callable[..., object], publish: Callable[..., None], query: Query, tmp_path: Path
) -> None:
    """The tests' own Postgres has fsync off."""

    def told() -> int:
        return sum(log.read_text().count("fsync is off") for log in tmp_path.glob("*.log"))

    start_collector()
    for n in range(1, 6):
        publish(*(f"b{n}-{m}" for m in range(10)))
        eventually(lambda n=n: query("SELECT count(*) FROM batches") == [(10 * n,)], 20)  # type: ignore[misc]
    eventually(lambda: told() == 1)


def test_batch_size_is_how_many_readings_share_a_transaction(
    start_collector: Callable[..., object], publish: Callable[..., None], query: Query
) -> None:
    publish(*(f"b{n}" for n in range(60)))
    start_collector(TELEMETRY_COLLECTOR_BATCH_SIZE="10", TELEMETRY_POLL_INTERVAL_S="1")
    eventually(lambda: query("SELECT count(*) FROM samples") == [(60,)], 20)
    [(_, transactions)] = query(TRANSACTIONS)
    assert transactions >= 6


def test_buffer_size_is_how_many_readings_a_collector_holds_uncommitted(
    start_collector: Callable[..., object],
    publish: Callable[..., None],
    settings: Settings,
    redis_client: redis.Redis,
    engine: Engine,
    query: Query,
) -> None:
    def waiting() -> int:
        return int(redis_client.llen(settings.ingest_queue))

    publish(*(f"b{n}" for n in range(60)))
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE batches IN EXCLUSIVE MODE"))
        start_collector(TELEMETRY_COLLECTOR_BATCH_SIZE="10", TELEMETRY_BUFFER_SIZE="25")
        eventually(lambda: waiting() == 35, 20)
        publish("b60")
        # It goes on looking after its queue, and leaves what is there.
        eventually(lambda: query("SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0] >= 2, 20)
        assert waiting() == 36
    eventually(lambda: query("SELECT count(*) FROM samples") == [(60,)], 20)
    eventually(lambda: waiting() == 0)


@pytest.mark.slow
def test_what_a_worker_that_lives_holds_for_longer_than_the_visibility_timeout_does_not_come_again(
    start_collector: Callable[..., object],
    publish: Callable[..., None],
    settings: Settings,
    redis_client: redis.Redis,
    engine: Engine,
    query: Query,
) -> None:
    keys = Keys(settings.key_prefix).unacked_options("central")

    def oldest() -> float:
        noted: list[Any] = redis_client.zrange(keys["unacked_index_key"], 0, -1, withscores=True)
        return float(min(score for _, score in noted)) if len(noted) == 20 else 0.0

    publish(*(f"b{n}" for n in range(20)))
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE batches IN EXCLUSIVE MODE"))
        start_collector(TELEMETRY_VISIBILITY_TIMEOUT_S="5")
        first = eventually(oldest, 20)
        # Workers look for what was left every 10 s.
        eventually(lambda: oldest() > first + 12, 20)
        assert redis_client.llen(settings.ingest_queue) == 0
        held: list[Any] = redis_client.hvals(keys["unacked_key"])
        assert not any(b"redelivered" in message for message in held)
    eventually(lambda: query("SELECT count(*) FROM samples") == [(20,)], 20)


@pytest.mark.slow
def test_what_a_worker_held_when_its_broker_went_away_comes_again_at_once(
    start_collector: Callable[..., object],
    publish: Callable[..., None],
    settings: Settings,
    redis_client: redis.Redis,
    way: Proxy,
    engine: Engine,
    query: Query,
    tmp_path: Path,
) -> None:
    """Not after the visibility timeout, which is five minutes here."""
    noted = Keys(settings.key_prefix).unacked("central")
    number = parse_qs(urlsplit(settings.broker_url).query)["virtual_host"][0]
    publish(*(f"b{n}" for n in range(20)))
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE batches IN EXCLUSIVE MODE"))
        start_collector(TELEMETRY_BROKER_URL=f"redis://127.0.0.1:{way.port}/{number}")
        eventually(lambda: redis_client.hlen(noted) == 20, 20)
        way.refuse()
        eventually(lambda: any("the broker is lost" in log.read_text() for log in tmp_path.glob("*.log")), 20)
        way.heal()
        # Before the lock has kept the group waiting for so long that it is given back.
        eventually(lambda: sum(b"redelivered" in message for message in redis_client.hvals(noted)) == 20, 8)
    eventually(lambda: query("SELECT count(*) FROM samples") == [(20,)], 20)
    eventually(lambda: redis_client.hlen(noted) == 0, 20)


def test_messages_of_strangers_end_as_dead_letters_and_hold_up_no_other(
    start_collector: Callable[..., subprocess.Popen[bytes]],
    publish: Callable[..., None],
    settings: Settings,
    redis_client: redis.Redis,
    query: Query,
) -> None:
    push_all(redis_client, settings)
    publish("b1")
    worker = start_collector()
    children = psutil.Process(worker.pid).children(recursive=True)
    letters = len(poisons()) - len(NO_LETTERS)
    eventually(lambda: query("SELECT count(*) FROM dead_letters") == [(letters,)], 20)
    eventually(lambda: query("SELECT count(*) FROM samples") == [(1,)], 10)
    assert psutil.Process(worker.pid).children(recursive=True) == children


def test_batches_that_break_the_process_end_as_dead_letters_and_hold_up_no_other(
    start: Start, publish: Callable[..., None], query: Query
) -> None:
    bad = ("deadly", "raising", "slow", "stuck")
    publish("b1", *bad, "b2", "b3")
    start(
        *("celery", "-A", "tests.collector.deadly:app", "worker", "--concurrency", "2", "-l", "info"),
        *("--without-gossip", "--without-mingle"),
        TELEMETRY_ROLE="central",
        PYTHONPATH=ROOT,
    )
    eventually(lambda: query("SELECT count(*) FROM samples") == [(3,)], 30)
    ended = "SELECT batch_id FROM batches WHERE status = 'dead' ORDER BY 1"
    eventually(lambda: query(ended) == [(name,) for name in bad], 25)
    assert query("SELECT DISTINCT error FROM dead_letters") == [(f"WireError: {CONDEMNED}",)]


@pytest.mark.redteam(of="R7")
def test_kills_while_the_database_does_not_answer_are_not_counted_against_a_batch(
    start_collector: Callable[..., subprocess.Popen[bytes]], publish: Callable[..., None], engine: Engine, query: Query
) -> None:
    """The process that waits for a lock is killed, more often than a batch is forgiven."""
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE batches IN ACCESS EXCLUSIVE MODE"))
        worker = start_collector()
        publish("b1")
        killed: set[int] = set()
        for _ in range(MAX_ATTEMPTS + 2):
            (waiting, *_) = eventually(lambda: [pid for (pid,) in query(WAITING) if pid not in killed], 20)
            # The lock is asked for by the one child that has the message.
            for child in psutil.Process(worker.pid).children(recursive=True):
                child.kill()
            killed.add(waiting)
    eventually(lambda: query("SELECT status FROM batches") == [("stored",)], 20)


def test_messages_of_a_newer_version_wait_and_nothing_waits_for_them(
    start_collector: Callable[..., object],
    publish: Callable[..., None],
    settings: Settings,
    redis_client: redis.Redis,
    query: Query,
) -> None:
    header, payload = wire.encode(batch(readings((key(), 0, 1.0))))
    for n in range(8):
        newer = {**header, "batch_id": f"newer-{n}", "version": wire.VERSION + 1}
        redis_client.lpush(settings.ingest_queue, call(newer, payload, queue=settings.ingest_queue))
    start_collector()
    keys = Keys(settings.key_prefix).unacked_options("central")
    # Held back or on the queue, but for the moment in which a process looks at one.
    eventually(lambda: redis_client.hlen(keys["unacked_key"]) + redis_client.llen(settings.ingest_queue) == 8, 30)
    latest = 0.0
    for n in range(6):
        before = time.monotonic()
        publish(f"b{n}")
        eventually(lambda n=n: query("SELECT count(*) FROM batches") == [(n + 1,)], 10)  # type: ignore[misc]
        latest = max(latest, time.monotonic() - before)
    assert latest < 2.5
    eventually(lambda: redis_client.hlen(keys["unacked_key"]) + redis_client.llen(settings.ingest_queue) == 8, 10)


def test_messages_whose_partition_is_refused_wait_and_nothing_waits_for_them(
    start_collector: Callable[..., object],
    publish: Callable[..., None],
    settings: Settings,
    engine: Engine,
    query: Query,
) -> None:
    """A person made a table of that name: no batch of its time is lost, and those of other times are stored."""
    start_collector()
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE samples_2001 (series_id bigint)"))
    old = datetime(2001, 5, 5, tzinfo=UTC).timestamp() - T0_US // 1_000_000
    send = publisher(make_app(replace(settings, role="edge")), settings)
    send([wire.encode(batch(readings((key(), int(old), 1.0)), f"old-{n}", start=n, end=n + 1)) for n in range(8)])
    for n in range(4):
        publish(f"b{n}")
        eventually(lambda n=n: query("SELECT count(*) FROM batches") == [(n + 1,)], 10)  # type: ignore[misc]
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE samples_2001"))
    eventually(lambda: query("SELECT count(*) FROM batches WHERE status = 'stored'") == [(12,)], 20)
    assert query("SELECT tableoid::regclass::text FROM samples WHERE ts < '2002-01-01'") == [("samples_2001",)]
