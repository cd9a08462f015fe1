"""Who had a GPU, in files and in a database that a collector filled: what tips the verdict, and what does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine, text

from telemetry.cli.verify import examine, report
from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.verify.owners import Owners
from tests.batches import T0_US, batch, key, readings
from tests.before import series_of_before

T0 = datetime.fromtimestamp(T0_US / 1_000_000, UTC)
TEMP = "DCGM_FI_DEV_GPU_TEMP"
# Second, value and pod of each row; T0 is 34 s after a full minute.
ROWS = ((0, 30.0, "a"), (20, 31.0, "a"), (40, 32.0, "b"), (100, 33.0, ""), (200, 34.0, "a"))
Row = tuple[int, float, str]


@pytest.fixture
def collector(settings: Settings, engine: Engine, redis_client: redis.Redis) -> Collector:
    return Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with ROWS."""
    path = tmp_path / "file.csv"
    written(path, *ROWS)
    return path


def written(path: Path, *rows: Row) -> None:
    moments = [T0 + timedelta(seconds=second) for second, _, _ in rows]
    lines = [
        f"{moment.isoformat()},{TEMP},GPU-1,{pod},{value}\n" for moment, (_, value, pod) in zip(moments, rows, strict=True)
    ]
    path.write_text("timestamp,metric_name,uuid,pod,value\n" + "".join(lines))


def store(collector: Collector, *rows: Row, name: str = "b1") -> None:
    """Store rows as an edge would send them."""
    given = [(key(TEMP, **({"pod": pod} if pod else {})), second, value) for second, value, pod in rows]
    assert collector.persist(*wire.encode(batch(readings(*given), name))).status == "stored"


def execute(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def test_owners_that_agree(collector: Collector, settings: Settings, file: Path) -> None:
    store(collector, *ROWS)
    outcome = examine(settings, [file])
    # a in the minutes of 0 s, 20 s (the same) and 200 s, b in that of 40 s.
    assert outcome.owners == Owners(minutes=3, missing=0, extra=0)
    assert outcome.agrees()
    assert "owners: 3 minutes of a GPU; 0 of them missing, 0 extra" in report(outcome)


def test_a_minute_that_is_missing_is_a_difference(collector: Collector, engine: Engine, settings: Settings, file: Path) -> None:
    store(collector, *ROWS)
    execute(engine, "DELETE FROM allocations USING owners WHERE id = owner_id AND pod = 'b'")
    outcome = examine(settings, [file])
    assert outcome.owners == Owners(3, 1, 0)
    assert outcome.counts["stored"] == len(ROWS)
    assert not outcome.agrees(allow_extra=True)
    assert report(outcome).endswith("differences found: 1 owner minutes missing")


def test_another_owner_in_the_same_span_is_extra(collector: Collector, settings: Settings, file: Path) -> None:
    store(collector, *ROWS)
    store(collector, (41, 32.0, "c"), (42, 32.0, "c"), (1000, 1.0, "c"), name="b2")
    outcome = examine(settings, [file])
    assert outcome.owners == Owners(3, 0, 1)
    assert not outcome.agrees()
    assert outcome.agrees(allow_extra=True)


def test_an_owner_of_a_reading_that_is_not_stored_is_not_asked_for(
    collector: Collector, settings: Settings, file: Path
) -> None:
    store(collector, *ROWS[:-1])
    outcome = examine(settings, [file])
    assert outcome.counts["missing"] == 1
    assert outcome.owners == Owners(2, 0, 0)


def test_what_was_stored_before_owners_were_told_apart_agrees(
    collector: Collector, engine: Engine, settings: Settings, file: Path
) -> None:
    series_of_before(engine, key(TEMP, pod="a"), key(TEMP))
    execute(engine, "UPDATE series SET of_owner = pod IS NOT NULL")
    store(collector, *ROWS)
    # Nothing was written into allocations then.
    execute(engine, "DELETE FROM allocations USING owners WHERE id = owner_id AND (pod = 'a' OR pod IS NULL)")
    outcome = examine(settings, [file])
    assert outcome.counts["stored"] == len(ROWS)
    assert outcome.owners == Owners(3, 0, 0)
    assert outcome.agrees()


def test_what_a_collector_of_before_stored_meanwhile_agrees(
    collector: Collector, engine: Engine, settings: Settings, file: Path
) -> None:
    store(collector, *ROWS)
    series_of_before(engine, key(TEMP, pod="a"))
    execute(
        engine,
        """
        WITH moved AS (DELETE FROM samples WHERE value = 34 RETURNING ts, value)
        INSERT INTO samples SELECT id, ts, value FROM series, moved WHERE pod = 'a'
        """,
    )
    execute(engine, "DELETE FROM allocations USING owners WHERE id = owner_id AND pod = 'a'")
    outcome = examine(settings, [file])
    assert (outcome.counts["stored"], outcome.counts["extra"]) == (len(ROWS), 0)
    assert outcome.agrees()
