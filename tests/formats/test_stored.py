"""Each format's kept file from an edge to the database and back to `verify`: every reading is where it belongs."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine

from telemetry.cli.verify import examine
from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings.source_settings import NO_SETTINGS
from telemetry.settings import Settings, sources_file
from telemetry.verify.compare import Outcome
from tests.fixtures.services import Query
from tests.formats.test_kept import FILES, SAID
from tests.sites import passed_on
from tests.streamer.edge import Edge
from tests.waiting import eventually

# Not `mapped`: it has a quote that a file which may grow could still close. `test_mapped_stored` is for that format.
STREAMED = [path for path in FILES if path.stem != "mapped"]


def stored(path: Path, settings: Settings, client: redis.Redis, engine: Engine) -> tuple[Edge, Outcome]:
    """Send a file from an edge to the database, and compare the two."""
    mine = replace(settings, sources=(str(path),), close_after_s=0.1)
    edge = Edge(mine, client)
    collector = Collector(mine, engine, Acks(client, Keys(mine.key_prefix), 60))

    with edge.streamer() as streamer:
        eventually(lambda: passed_on(edge, streamer, collector, path))
    outcome = examine(mine, [path])
    assert outcome.differences().keys() <= {"conflict", "unread"}, (outcome.differences(), outcome.examples)
    return edge, outcome


NIGHT = """#Time         gpu    pwr
#HH:MM:SS     Idx      W
 23:59:58       0    301
 23:59:59       0    302
 00:00:00       0    303
 12:00:00       0    304
 23:59:58       0    305
 00:00:00       0    306
"""


def test_days_that_no_time_carries_are_stored_and_verified(
    settings: Settings, redis_client: redis.Redis, engine: Engine, query: Query, tmp_path: Path
) -> None:
    path = tmp_path / "dmon-20250717.txt"
    path.write_text(NIGHT)
    said = sources_file.Rule("*", time_zone="UTC", host="node", date_from_path="dmon-([0-9]+)")
    stored(path, replace(settings, source_settings=(said,), batch_size=2), redis_client, engine)
    days = query("SELECT ts::date::text, value FROM samples ORDER BY value")
    assert [(day, value) for day, value in days] == [
        *(("2025-07-17", 301.0), ("2025-07-17", 302.0), ("2025-07-18", 303.0), ("2025-07-18", 304.0)),
        *(("2025-07-18", 305.0), ("2025-07-19", 306.0)),
    ]


@pytest.mark.parametrize("kept", STREAMED, ids=lambda path: path.name)
@pytest.mark.parametrize("limit", [4, 1000])
def test_it_is_stored_and_verified_exactly(
    kept: Path, limit: int, settings: Settings, redis_client: redis.Redis, engine: Engine, query: Query, tmp_path: Path
) -> None:
    path = tmp_path / kept.name
    shutil.copy(kept, path)
    said = SAID.get(kept.stem, NO_SETTINGS)
    rule = sources_file.Rule("*", time_zone=said.time_zone, host=said.host)
    mine = replace(settings, source_settings=(rule,), batch_size=limit)
    edge, outcome = stored(path, mine, redis_client, engine)
    assert {batch.source.format for batch in edge.published} == {kept.stem}
    counts = outcome.counts
    assert counts["stored"]
    (ledger,) = query("SELECT sum(stored), sum(duplicate), sum(conflict), sum(blank), sum(quarantined) FROM ledger")
    held = [counts[name] for name in ("stored", "duplicate", "conflict", "blank", "quarantined")]
    unread_headers = query("SELECT count(*) FROM quarantine WHERE reason = 'unknown_format'")[0][0]
    held[-1] += unread_headers
    assert [int(each) for each in ledger] == held
