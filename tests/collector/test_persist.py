"""The collector's service on a real Postgres and broker: each batch once, each row in one class, hopeless ones buried."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import psycopg
import pytest
import redis
from prometheus_client import generate_latest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from telemetry.collector import deadletters, settlements, writer
from telemetry.collector.blame import TRANSIENT
from telemetry.collector.outcome import Outcome
from telemetry.collector.persist import Collector
from telemetry.collector.tasks import opened
from telemetry.monitoring.counters import definitions
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.readings.digests import digest
from telemetry.readings.rows import QuarantinedRow
from telemetry.settings import Settings
from telemetry.store.engine import make_engine
from telemetry.store.partitions import DAY_US, EPOCH
from telemetry.store.write import allocations, samples
from telemetry.store.write.series_ids import SeriesIds
from tests.batches import T0_US, batch, key, now_s, of_before, readings
from tests.faults.poisons import poisons
from tests.fixtures.services import Query
from tests.scrape import Samples, parse, total
from tests.strategies import LONG_NAMES

LEDGER = "SELECT status, rows, stored, duplicate, conflict, quarantined FROM batches ORDER BY batch_id"
END_SESSIONS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.fixture
def collector(settings: Settings, engine: Engine, redis_client: redis.Redis) -> Collector:
    return Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), settings.ack_ttl_s))


def acks(client: redis.Redis, settings: Settings) -> dict[Any, Any]:
    """The acknowledgements, without the generation that they name."""
    found: dict[Any, Any] = client.hgetall(Keys(settings.key_prefix).acks("test/node", "source-1"))
    return {batch_id: text.split(b" ")[0] for batch_id, text in found.items()}


def test_a_batch_is_stored_once_and_acknowledged_each_time(
    collector: Collector, query: Query, redis_client: redis.Redis, settings: Settings
) -> None:
    message = wire.encode(batch(readings((key(), 0, 1.0), (key(gpu="GPU-2"), 0, 2.0))))
    assert collector.persist(*message).status == "stored"
    assert acks(redis_client, settings) == {b"b1": b"stored"}
    redis_client.delete(Keys(settings.key_prefix).acks("test/node", "source-1"))
    assert collector.persist(*message).status == "known"
    assert acks(redis_client, settings) == {b"b1": b"stored"}
    assert query(LEDGER) == [("stored", 2, 2, 0, 0, 0)]
    assert query(
        "SELECT g.identity, s.value FROM samples s JOIN series ON id = series_id JOIN gpus g ON g.id = gpu_id ORDER BY 1"
    ) == [
        ("GPU-1", 1.0),
        ("GPU-2", 2.0),
    ]


def test_a_database_that_was_restored_gets_no_ids_of_the_one_before(
    collector: Collector, query: Query, settings: Settings
) -> None:
    """The first that a collector with warm caches sees of the restored database is the transaction that stores."""
    collector.persist(*wire.encode(batch(readings((key(), 0, 1.0)))))
    other = make_engine(settings, application="test")
    with other.begin() as connection:
        connection.execute(text("TRUNCATE gpus, metrics, series, batches, samples, owners RESTART IDENTITY CASCADE"))
        connection.execute(text("SELECT setval('series_id_seq', 1)"))
        connection.execute(text(END_SESSIONS))
    other.dispose()
    collector.persist(*wire.encode(batch(readings((key(), 1, 3.0)), "b3")))
    collector.persist(*wire.encode(batch(readings((key(gpu="GPU-2"), 0, 2.0)), "b2")))
    assert query(
        "SELECT g.identity, s.value FROM samples s JOIN series ON id = series_id JOIN gpus g ON g.id = gpu_id ORDER BY 1"
    ) == [("GPU-1", 3.0), ("GPU-2", 2.0)]


def test_a_batch_committed_too_long_ago_is_acknowledged_only_after_the_ledger_was_asked_again(
    collector: Collector, redis_client: redis.Redis, settings: Settings, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = wire.encode(batch(readings((key(), 0, 1.0))))
    with monkeypatch.context() as frozen:
        frozen.setattr(settlements, "STALE_S", 0.0)
        with pytest.raises(TimeoutError):
            collector.persist(*message)
    assert query(LEDGER) == [("stored", 1, 1, 0, 0, 0)]
    assert acks(redis_client, settings) == {}
    assert collector.persist(*message).status == "known"
    assert acks(redis_client, settings) == {b"b1": b"stored"}


def test_a_message_of_the_version_before_that_cannot_be_stored_is_dead_with_its_reason(
    collector: Collector, redis_client: redis.Redis, settings: Settings, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_DAYS", 0)
    header, payload = of_before(readings((key(), 0, 1.0)))
    before = {**header, "version": 1, "rows": {name: count for name, count in header["rows"].items() if name != "records"}}
    outcome = collector.persist(before, payload)
    assert outcome.status == "dead"
    assert "readings of 1 days, the limit is 0" in str(outcome.error)
    assert query("SELECT status, rows, records FROM batches") == [("dead", 1, 1)]
    assert acks(redis_client, settings) == {b"b1": b"dead"}


@pytest.mark.redteam(of="S2")
@pytest.mark.parametrize("together", [True, False])
def test_a_second_content_under_a_known_id_is_not_stored_and_counted(
    collector: Collector, query: Query, together: bool
) -> None:
    counted = Counted()
    true, false = (batch(readings((key(), 0, value), (key(pod="p"), 1, 2.0))) for value in (1.0, 666.0))
    # The same readings, as another version of the edge would write them: other texts first, other bytes.
    again = replace(true.readings, series=true.readings.series[::-1], codes=1 - true.readings.codes)
    messages = [wire.encode(each) for each in (true, true, replace(true, readings=again), false)]
    assert messages[0][1] != messages[2][1]
    groups = [messages] if together else [[message] for message in messages]
    outcomes = [outcome for group in groups for outcome in collector.persist_all(group)]
    assert [getattr(outcome, "status", None) for outcome in outcomes] == ["stored", "known", "known", "known"]
    assert counted("telemetry_batches_refused_total", source_cluster="test") == 1
    assert query("SELECT value FROM samples ORDER BY ts") == [(1.0,), (2.0,)]


def test_what_a_collector_of_before_entered_is_not_compared(collector: Collector, engine: Engine) -> None:
    counted = Counted()
    collector.persist(*wire.encode(batch(readings((key(), 0, 1.0)))))
    with engine.begin() as connection:
        connection.execute(text("UPDATE batches SET digest = NULL"))
    assert collector.persist(*wire.encode(batch(readings((key(), 0, 2.0))))).status == "known"
    assert not counted("telemetry_batches_refused_total")


def test_rows_stored_before_are_duplicates_or_conflicts(collector: Collector, query: Query) -> None:
    collector.persist(*wire.encode(batch(readings((key(), 0, 1.0), (key(), 1, 1.0)))))
    collector.persist(*wire.encode(batch(readings((key(), 0, 1.0), (key(), 1, 2.0), (key(), 2, 3.0)), "b2")))
    assert query(LEDGER) == [("stored", 2, 2, 0, 0, 0), ("stored", 3, 1, 1, 1, 0)]
    assert query("SELECT value FROM samples ORDER BY ts") == [(1.0,), (1.0,), (3.0,)]


KEPT = "SELECT extract(second FROM ts)::int, value, stored, batch_id FROM conflicts ORDER BY ts, value"


def test_readings_in_conflict_are_kept_once_with_both_values(collector: Collector, query: Query) -> None:
    collector.persist(*wire.encode(batch(readings((key(), 0, 5.0), (key(), 1, 1.0)))))
    assert query(KEPT) == []
    for batch_id in ("b2", "b3"):
        collector.persist(*wire.encode(batch(readings((key(), 0, 6.0), (key(), 1, 1.0), (key(), 2, 3.0)), batch_id)))
    assert query(KEPT) == [(34, 6.0, 5.0, "b2")]
    assert query(LEDGER)[1:] == [("stored", 3, 1, 1, 1, 0), ("stored", 3, 0, 2, 1, 0)]


def test_readings_in_conflict_within_a_batch_are_judged_by_what_is_stored(collector: Collector, query: Query) -> None:
    first = batch(readings((key(), 0, 5.0), (key(), 0, 6.0), (key(), 0, 5.0), (key(), 86_400, 1.0), (key(), 86_400, 2.0)))
    collector.persist(*wire.encode(first))
    kept = [(34, 6.0, 5.0, "b1"), (34, 2.0, 1.0, "b1")]
    assert (query(LEDGER), query(KEPT)) == ([("stored", 5, 2, 1, 2, 0)], kept)
    # What the first of a key in a batch says is not what is stored.
    collector.persist(*wire.encode(batch(readings((key(), 0, 6.0), (key(), 0, 5.0), (key(), 0, 6.0)), "b2")))
    collector.persist(*wire.encode(batch(readings((key(), 0, 7.0), (key(), 0, 7.0), (key(), 1, 7.0), (key(), 1, 7.0)), "b3")))
    assert query(LEDGER)[1:] == [("stored", 3, 0, 1, 2, 0), ("stored", 4, 1, 1, 2, 0)]
    assert query(KEPT) == [kept[0], (34, 7.0, 5.0, "b3"), kept[1]]


def test_of_a_group_each_reading_in_conflict_is_kept_with_its_batch_and_source(collector: Collector, query: Query) -> None:
    other = wire.Source("source-2", "/data/b.csv", "fingerprint-2", "dcgm", None)
    group = [
        batch(readings((key(), 0, 5.0), (key(), 1, 1.0))),
        batch(readings((key(), 0, 6.0)), "b2"),
        batch(readings((key(), 0, 6.0), (key(), 1, 1.0)), "b3", source=other),
    ]
    collector.persist_all([wire.encode(each) for each in group])
    assert query(LEDGER) == [("stored", 2, 2, 0, 0, 0), ("stored", 1, 0, 0, 1, 0), ("stored", 2, 0, 1, 1, 0)]
    assert query("SELECT batch_id, path, value, stored FROM conflicts JOIN sources s ON s.id = source_id ORDER BY 1") == [
        ("b2", "/data/a.csv", 6.0, 5.0),
        ("b3", "/data/b.csv", 6.0, 5.0),
    ]


def test_quarantined_rows_are_kept_once_as_they_stood(collector: Collector, query: Query) -> None:
    bad = QuarantinedRow(70, 9, "bad_text", b"\xff\x00")
    for batch_id in ("b1", "b2"):
        collector.persist(*wire.encode(batch(readings(quarantined=(bad,)), batch_id)))
    assert query("SELECT byte_offset, line, reason, raw FROM quarantine") == [(70, 9, "bad_text", b"\xff\x00")]


def test_rows_of_days_far_apart_end_in_the_partitions_of_their_times(collector: Collector, query: Query) -> None:
    """A day of its own, two days of one month, and a year: one batch."""
    today = (datetime.now(UTC) - EPOCH).days
    long_ago = [(datetime(2003, 2, day, tzinfo=UTC) - EPOCH).days for day in (1, 2, 28)]
    rows = [(key(), 86_400 * (day - T0_US // DAY_US), n) for n, day in enumerate([*long_ago, today - 1, today])]
    # The second batch goes by the staging table.
    for batch_id in ("b1", "b2"):
        collector.persist(*wire.encode(batch(readings(*rows), batch_id)))
    recent = [f"samples_{EPOCH + timedelta(days=day):%Y%m%d}" for day in (today - 1, today)]
    assert query("SELECT tableoid::regclass::text, value FROM samples ORDER BY ts") == [
        *(("samples_2003", n) for n in range(3)),
        *((name, 3 + n) for n, name in enumerate(recent)),
    ]
    assert query(LEDGER) == [("stored", 5, 5, 0, 0, 0), ("stored", 5, 0, 5, 0, 0)]


@pytest.mark.parametrize("statement", ["ALTER TABLE samples DETACH PARTITION {}", "DROP TABLE {}"])
def test_what_is_acknowledged_is_in_a_table_that_is_read_though_its_partition_was_taken_away(
    collector: Collector, query: Query, engine: Engine, statement: str
) -> None:
    collector.persist(*wire.encode(batch(readings((key(), now_s(), 1.0)))))
    with engine.begin() as connection:
        connection.execute(text(statement.format(connection.scalar(text("SELECT tableoid::regclass::text FROM samples")))))
    # Two, of which the second finds what the process knows to be right again.
    for n in (1, 2):
        assert collector.persist(*wire.encode(batch(readings((key(), now_s() + n, 2.0)), f"b{n + 1}"))).status == "stored"
    assert query("SELECT value FROM samples ORDER BY value") == [(1.0,), (2.0,), (2.0,)][-3 if "DETACH" in statement else -2 :]
    assert query("SELECT sum(stored) FROM batches") == [(3,)]


def test_a_partition_stays_one_until_the_rows_are_committed(
    collector: Collector, query: Query, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody detaches it between the ledger and the samples: he waits, and what was stored before is in his table."""
    collector.persist(*wire.encode(batch(readings((key(), now_s(), 1.0)))))
    (table,) = query("SELECT tableoid::regclass::text FROM samples")[0]
    write, refused = samples.write, []

    def detached(*args: Any) -> Any:
        with engine.connect() as other:
            other.execute(text("SET lock_timeout = '200ms'"))
            try:
                other.execute(text(f"ALTER TABLE samples DETACH PARTITION {table}"))
                other.commit()
            except OperationalError as error:
                refused.append(error)
        return write(*args)

    monkeypatch.setattr(samples, "write", detached)
    collector.persist(*wire.encode(batch(readings((key(), now_s() + 1, 1.0)), "b2")))
    assert "lock timeout" in str(refused)
    assert query("SELECT count(*) FROM samples") == [(2,)]


def test_a_batch_of_too_many_days_dies_alone(collector: Collector, query: Query, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_DAYS", 3)
    days = [(key(), 86_400 * day, 1.0) for day in range(4)]
    batches = [batch(readings(*rows), f"b{n}") for n, rows in enumerate((days, days[:2], days[2:]))]
    outcomes = collector.persist_all([wire.encode(content) for content in batches])
    assert [outcome.status for outcome in outcomes if isinstance(outcome, Outcome)] == ["dead", "stored", "stored"]
    assert query("SELECT count(*) FROM batches WHERE error LIKE '%ingest the file with a smaller --batch-size'") == [(1,)]


def test_volatile_labels_make_no_series_of_their_own(collector: Collector, query: Query) -> None:
    for n, driver in enumerate(("535", "550")):
        collector.persist(*wire.encode(batch(readings((key(DCGM_FI_DRIVER_VERSION=driver, pod="p"), n, 1.0)), f"b{n}")))
    assert query("SELECT labels FROM series") == [({},)]
    assert query("SELECT driver_version, model, host, gpu_index FROM gpus") == [("550", "H100", "host-1", 0)]


def test_a_fleet_makes_no_series_after_its_first_day_whatever_pods_come(collector: Collector, query: Query) -> None:
    metrics = ("DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_FB_USED")
    counts = []
    for day in range(3):
        rows = [
            (key(metric, f"GPU-{(pod + 7 * day) % 250}", pod=f"pod-{day}-{pod}", namespace="n"), 86_400 * day + pod, 1.0)
            for pod in range(100)
            for metric in metrics
        ]
        rows += [(key(metric, f"GPU-{gpu}"), 86_400 * day + 200, 1.0) for gpu in range(250) for metric in metrics]
        collector.persist(*wire.encode(batch(readings(*rows), f"day-{day}")))
        counts += query("SELECT count(*) FROM series")
    assert counts == [(750,)] * 3
    # A row a day for each owner of a GPU, nobody included.
    assert query("SELECT day - min(day) OVER (), count(*) FROM allocations GROUP BY day ORDER BY day") == [
        (day, 350) for day in range(3)
    ]


def test_readings_that_differ_in_their_owner_alone_are_one_sample(collector: Collector, query: Query) -> None:
    rows = [(key(pod="a"), 0, 1.0), (key(pod="b"), 0, 1.0), (key(), 0, 1.0)]
    outcome = collector.persist(*wire.encode(batch(readings(*rows))))
    assert outcome.rows == {"stored": 1, "duplicate": 2, "conflict": 0, "expired": 0, "blank": 0, "quarantined": 0}
    assert query("SELECT count(*) FROM samples") == [(1,)]
    assert query("SELECT pod FROM allocations JOIN owners ON id = owner_id ORDER BY pod") == [("a",), ("b",), (None,)]


def test_a_batch_that_is_not_stored_holds_nothing(collector: Collector, query: Query, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise psycopg.errors.DeadlockDetected

    with monkeypatch.context() as failing:
        failing.setattr(allocations, "write", fail)
        with pytest.raises(psycopg.errors.DeadlockDetected):
            collector.persist(*wire.encode(batch(readings((key(pod="a"), 0, 1.0)))))
    assert query("SELECT count(*) FROM allocations") == [(0,)]
    collector.persist(*wire.encode(batch(readings((key(pod="a"), 0, 1.0)))))
    assert query("SELECT count(*) FROM allocations") == [(1,)]


def test_mig_instances_are_series_of_their_own(collector: Collector, query: Query) -> None:
    rows = [(key(GPU_I_ID=instance), 0, 1.0) for instance in ("1", "2")]
    collector.persist(*wire.encode(batch(readings(*rows))))
    assert query("SELECT mig_instance FROM series ORDER BY 1") == [("1",), ("2",)]
    assert query("SELECT count(*) FROM gpus") == [(1,)]


@pytest.mark.parametrize("damage", ["payload", "series", "digest"])
def test_a_hopeless_batch_is_dead_and_acknowledged(
    collector: Collector, query: Query, redis_client: redis.Redis, settings: Settings, damage: str
) -> None:
    header, payload = wire.encode(batch(readings(("no series" if damage == "series" else key(), 0, 1.0))))
    if damage == "payload":
        payload = b"\0" * len(payload)
        header["digest"] = digest(payload)
    elif damage == "digest":
        header["digest"] = "0" * 32
    assert [collector.persist(header, payload).status for _ in range(2)] == ["dead", "known dead"]
    assert query("SELECT status, error IS NOT NULL FROM batches") == [("dead", True)]
    assert query("SELECT batch_id, payload FROM dead_letters") == [("b1", payload)]
    assert acks(redis_client, settings) == {b"b1": b"dead"}


def test_a_bad_batch_harms_no_other_in_its_transaction(
    collector: Collector, query: Query, redis_client: redis.Redis, settings: Settings
) -> None:
    good = {name: wire.encode(batch(readings((key(), n, 1.0)), name)) for n, name in enumerate(("b1", "b3", "b4"))}
    unnamed = wire.encode(batch(readings(("no series", 0, 1.0)), "b2"))
    torn = (good["b4"][0] | {"batch_id": "b5"}, b"torn")
    outcomes = collector.persist_all([good["b1"], unnamed, good["b3"], torn, good["b4"]])
    assert [getattr(outcome, "status", outcome) for outcome in outcomes] == ["stored", "dead", "stored", "dead", "stored"]
    assert query("SELECT batch_id, status FROM batches ORDER BY 1") == [
        ("b1", "stored"),
        ("b2", "dead"),
        ("b3", "stored"),
        ("b4", "stored"),
        ("b5", "dead"),
    ]
    assert query("SELECT count(*) FROM samples") == [(3,)]
    statuses = {"b1": "stored", "b2": "dead", "b3": "stored", "b4": "stored", "b5": "dead"}
    assert acks(redis_client, settings) == {name.encode(): status.encode() for name, status in statuses.items()}


@pytest.mark.parametrize("odd", ["a\0", "a\ud800"])
@pytest.mark.parametrize("place", ["metric", "gpu", "label", "value"])
def test_a_series_of_text_that_the_database_refuses_harms_no_other(
    collector: Collector, query: Query, place: str, odd: str
) -> None:
    parts = {"metric": "m", "gpu": "GPU-1", "label": "pod", "value": "p"} | {place: odd}
    # As escapes, which a message can carry.
    bad = json.dumps([parts["metric"], parts["gpu"], "host-1", 0, "nvidia0", "H100", {parts["label"]: parts["value"]}])
    messages = [
        wire.encode(batch(readings((series, 0, 1.0)), f"b{n}")) for n, series in enumerate((key(), bad, key(gpu="GPU-2")))
    ]
    outcomes = [outcome for outcome in collector.persist_all(messages) if isinstance(outcome, Outcome)]
    assert [outcome.status for outcome in outcomes] == ["stored", "dead", "stored"]
    assert query("SELECT count(*) FROM samples") == [(2,)]


def test_a_message_that_names_no_batch_is_kept_too(collector: Collector, query: Query) -> None:
    assert collector.persist({"version": 1, "note": "a\0b", 5: b"\xff"}, "text").status == "dead"
    assert collector.persist(None, b"x").status == "dead"
    assert query("SELECT count(*) FROM batches") == [(0,)]
    assert query("SELECT count(*) FROM dead_letters") == [(2,)]


@pytest.mark.parametrize(
    ("name", "edge"),
    [
        ("surrogate in a name", None),
        ("surrogate aside", "test/node"),
        ("no number aside", "test/node"),
        ("deep", None),
        ("an edge too long for an index", None),
        ("a fingerprint too long for an index", None),
    ],
)
def test_a_message_is_kept_whatever_it_holds(collector: Collector, query: Query, name: str, edge: str | None) -> None:
    sent = json.loads(poisons()[name])
    message = opened((base64.b64decode(sent["body"]), sent["content-type"], sent["content-encoding"]))
    assert message[0] is not None
    assert collector.persist(*message).status == "dead"
    assert query("SELECT edge FROM dead_letters") == [(edge,)]
    assert query("SELECT count(*) FROM batches WHERE status = 'dead'") == [(int(edge is not None),)]


def test_a_name_too_long_for_an_index_is_the_fault_of_its_batch_alone(collector: Collector, query: Query) -> None:
    batches = [batch(readings((key(gpu=gpu), 0, 1.0)), gpu[:5]) for gpu in ("GPU-1", LONG_NAMES[-1], "GPU-2")]
    outcomes = collector.persist_all([wire.encode(content) for content in batches])
    assert [outcome.status for outcome in outcomes if isinstance(outcome, Outcome)] == ["stored", "dead", "stored"]
    assert query("SELECT count(*) FROM dead_letters WHERE error LIKE '%index row size%'") == [(1,)]


def test_a_path_too_long_for_an_index_is_shortened(collector: Collector, query: Query) -> None:
    for n in range(2):
        source = wire.Source("source-1", f"/data/{LONG_NAMES[-1]}{n}.csv", "fingerprint-1", "dcgm", None)
        message = wire.encode(batch(readings((key(), n, 1.0)), f"b{n}", source=source))
        assert [collector.persist(*message).status for _ in range(2)] == ["stored", "known"]
    paths = [path for (path,) in query("SELECT path FROM sources JOIN batches ON source_id = sources.id ORDER BY batch_id")]
    assert [(path[:6], path[-5:]) for path in paths] == [("/data/", f"{n}.csv") for n in range(2)]


def test_the_payload_of_a_letter_is_cut_when_letters_have_enough(
    collector: Collector, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadletters, "MAX_ALL_BYTES", 30_000)
    monkeypatch.setattr(deadletters, "MAX_PAYLOAD_BYTES", 25_000)
    noise = bytes(Random(0).choices(range(256), k=26_000))  # noqa: S311
    for size in (20_000, 19_999, 5_000, 26_000, 100):
        collector.persist(None, noise[:size])
    assert [size for (size,) in query("SELECT length(payload) FROM dead_letters ORDER BY id")] == [
        20_000,
        4096,
        5_000,
        4096,
        100,
    ]
    errors = [error for (error,) in query("SELECT error FROM dead_letters ORDER BY id")]
    assert "of 19,999 bytes only the first 4,096 are kept, as the dead letters have" in errors[1]
    assert "of 26,000 bytes only the first 4,096 are kept, as a letter may have 25,000" in errors[3]


def test_a_message_that_names_no_batch_is_kept_once_however_often_it_comes(collector: Collector, query: Query) -> None:
    for header in (None, {"version": 0, "a": [1, "x"]}, {"version": 0}):
        for _ in range(3):
            assert collector.persist(header, b"bytes").status == "dead"
    assert query("SELECT count(*), count(DISTINCT header), count(DISTINCT batch_id) FROM dead_letters") == [(3, 3, 1)]


def test_many_collectors_at_once_make_each_series_and_sample_once(
    settings: Settings, redis_client: redis.Redis, query: Query
) -> None:
    """Overlapping batches in every order: new series, new partitions, the same samples and the same batch ids."""
    everything = [(key(gpu=f"GPU-{n % 17}", pod=f"p{n % 5}"), (n % 30) * 40_000, float(n % 7)) for n in range(600)]
    messages = [wire.encode(batch(readings(*everything[n : n + 200]), f"b{n}")) for n in range(0, 400, 50)]

    def work(n: int) -> None:
        engine = make_engine(settings, application="test")
        mine = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))
        for message in messages[n:] + messages[:n]:
            mine.persist(*message)
        engine.dispose()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    distinct = {(text_, second) for text_, second, _ in everything[:550]}
    assert query("SELECT count(*) FROM samples") == [(len(distinct),)]
    assert query("SELECT count(*), sum(stored) FROM batches") == [(len(messages), len(distinct))]
    assert query("SELECT sum(rows - stored - duplicate - conflict) FROM batches") == [(0,)]


def test_an_unexpected_error_kills_the_batch_and_keeps_it(
    collector: Collector, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(SeriesIds, "resolve", broken)
    message = wire.encode(batch(readings((key(), 0, 1.0))))
    outcome = collector.persist(*message)
    assert (outcome.status, outcome.error) == ("dead", "ZeroDivisionError: a bug")
    assert query("SELECT payload FROM dead_letters") == [(message[1],)]


def test_copies_in_one_group_say_the_same_of_their_batch(
    collector: Collector, query: Query, redis_client: redis.Redis, settings: Settings
) -> None:
    dead, new = (wire.encode(batch(readings((key(), n, 1.0)), name)) for n, name in enumerate(("dead", "new")))
    collector.condemn(dead, ValueError("for a reason"))
    outcomes = collector.persist_all([dead, new, dead, new])
    assert [getattr(outcome, "status", None) for outcome in outcomes] == ["known dead", "stored", "known dead", "known"]
    assert acks(redis_client, settings) == {b"dead": b"dead", b"new": b"stored"}
    assert query("SELECT count(*) FROM samples") == [(1,)]


def test_probes_and_messages_of_a_newer_version_keep_their_places_among_the_others(
    collector: Collector, redis_client: redis.Redis, settings: Settings
) -> None:
    header, payload = wire.encode(batch(readings((key(), 0, 1.0)), "b1"))
    probe = wire.encode(batch(readings(), "probe", start=7, end=7))
    newer = ({**header, "batch_id": "newer", "version": wire.VERSION + 1}, payload)
    outcomes = collector.persist_all([probe, newer, (header, b"torn"), wire.encode(batch(readings((key(), 1, 1.0)), "b2"))])
    assert [getattr(outcome, "status", type(outcome)) for outcome in outcomes] == [
        "probe",
        wire.NewerVersionError,
        "dead",
        "stored",
    ]
    assert acks(redis_client, settings) == {b"probe": b"stored", b"b1": b"dead", b"b2": b"stored"}


class Counted:
    """What this process has counted since the object was made."""

    def __init__(self) -> None:
        self._before = self._now()

    def __call__(self, name: str, **labels: str) -> float:
        now = total(self._now(), name, **labels) or 0
        return now - (total(self._before, name, **labels) or 0)

    @staticmethod
    def _now() -> Samples:
        return parse(generate_latest(definitions.registry).decode())


def test_an_acknowledgement_that_fails_takes_no_count_along_and_doubles_none(
    collector: Collector, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, send = Counted(), Acks.send

    def refuse(*_: Any) -> int:
        raise redis.ConnectionError("cut")

    messages = [wire.encode(batch(readings((key(), n, 1.0)), f"b{n}")) for n in range(3)]
    messages.append(messages[0])
    monkeypatch.setattr(Acks, "send", refuse)
    for _ in range(2):
        with pytest.raises(redis.ConnectionError):
            collector.persist_all(messages)
        assert counted("telemetry_rows_committed_total", row_class="stored") == 3
        assert counted("telemetry_batches_settled_total") == 3
    monkeypatch.setattr(Acks, "send", send)
    collector.persist_all(messages)
    assert counted("telemetry_rows_committed_total") == counted("telemetry_batch_rows_sum") == 3
    assert counted("telemetry_batches_settled_total", settlement="stored") == 3
    assert counted("telemetry_batch_latency_seconds_count") == 3
    assert counted("telemetry_batches_settled_total", settlement="known") == counted("telemetry_rows_doubled_total") == 1


def test_a_dead_batch_that_comes_again_is_known(collector: Collector) -> None:
    counted = Counted()
    header, payload = wire.encode(batch(readings(("no series", 0, 1.0))))
    assert [collector.persist(header, payload).status for _ in range(3)] == ["dead", "known dead", "known dead"]
    assert counted("telemetry_batches_settled_total", settlement="dead") == 1
    assert counted("telemetry_rows_committed_total", row_class="dead") == counted("telemetry_batch_rows_count") == 1
    assert counted("telemetry_batches_settled_total", settlement="known") == counted("telemetry_rows_doubled_total") == 2


def test_a_partition_that_the_database_refuses_is_counted(collector: Collector, engine: Engine) -> None:
    counted = Counted()
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE samples RENAME TO hidden"))
    with pytest.raises(TRANSIENT):
        collector.persist(*wire.encode(batch(readings((key(), 86_400, 1.0)))))
    assert counted("telemetry_partition_failures_total") == 1
