"""Rows that a wrong setting has put into quarantine are read again: they are stored, and everybody agrees about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine

from telemetry.audit.samples import SampleAudit
from telemetry.collector.quarantine_retry import QuarantineRetry, Retried
from telemetry.collector.second_reading import UnreadableError, reader_of
from telemetry.collector.writer import BatchWriter
from telemetry.progress.window import Window
from telemetry.settings import Settings
from telemetry.settings.sources_file import Rule
from telemetry.store.read.ingest import QuarantineFilter
from telemetry.store.upkeep import ledger_folding
from tests.fixtures.processes import exact
from tests.fixtures.services import Query
from tests.sites import Site, site_of
from tests.states import source_state
from tests.streamer.edge import HEADER, append, rows
from tests.waiting import eventually

NUMBER, EARLY = 200, 60
LATE_FLOOR = datetime(2025, 7, 18, 0, 1, 0, tzinfo=UTC)
MARKS = "SELECT (SELECT count(*) FROM unjudged), (SELECT count(*) FROM usage_marks)"
CLASSES = "SELECT sum(rows), sum(stored), sum(duplicate), sum(quarantined), sum(records) FROM ledger"


@pytest.fixture
def site(settings: Settings, engine: Engine, redis_client: redis.Redis, tmp_path: Path) -> Iterator[Site]:
    """A file of which the first minute is in quarantine, as the floor was too late, and a row that is no reading anyway."""
    path = tmp_path / "dump.csv"
    append(path, HEADER + rows(0, NUMBER) + "2025-07-18T01:00:00Z,DCGM_FI_DEV_GPU_UTIL,0,GPU-1,host-1,many\n")
    with site_of(path, replace(settings, timestamp_floor=LATE_FLOOR), engine, redis_client) as made:
        eventually(made.is_committed)
        assert made.number() == NUMBER - EARLY
        yield made


def retried(site: Site, settings: Settings, reason: str | None = None) -> list[Retried]:
    return list(QuarantineRetry(settings, site.engine, lambda _: site.client)(QuarantineFilter(reason=reason), actor="test"))


@pytest.mark.parametrize("is_folded", [False, True])
def test_what_is_a_reading_by_now_is_stored_and_leaves(
    site: Site, settings: Settings, query: Query, verify: Callable[..., dict[str, int]], is_folded: bool
) -> None:
    if is_folded:
        site.run("UPDATE batches SET committed_at = committed_at - interval '3 days'")
        with site.engine.begin() as connection:
            assert ledger_folding.fold(connection, 3600.0) > 1
    (marks,) = query(MARKS)
    assert retried(site, settings) == [Retried("test/node", str(site.path), EARLY, EARLY, 1)]
    assert site.number() == NUMBER
    assert query("SELECT reason FROM quarantine") == [("bad_value",)]
    assert query(CLASSES) == [(NUMBER + 1, NUMBER, 0, 1, NUMBER + 1)]
    counts = verify(site.path)
    assert exact(counts)
    assert (counts["stored"], counts["quarantined"], counts["missing"]) == (NUMBER, 1, 0)
    SampleAudit(site.engine, 0.0).count()
    assert query("SELECT * FROM shortfalls") == []
    # They came late: the health of their GPUs is judged anew, and their hours are summed up anew.
    assert all(count > before for count, before in zip(query(MARKS)[0], marks, strict=True))
    assert retried(site, settings) == [Retried("test/node", str(site.path), 0, 0, 1)]


def test_the_file_may_be_read_again_afterwards(
    site: Site, settings: Settings, query: Query, verify: Callable[..., dict[str, int]], redis_client: redis.Redis
) -> None:
    retried(site, settings)
    redis_client.delete(*redis_client.keys(f"{settings.key_prefix}:source*"))
    with site_of(site.path, settings, site.engine, redis_client) as again:
        eventually(again.is_committed)
    assert site.number() == NUMBER
    assert exact(verify(site.path))
    assert query("SELECT count(*), min(reason) FROM quarantine") == [(1, "bad_value")]


def test_rows_of_a_time_that_is_not_kept_any_more_stay(
    site: Site, settings: Settings, query: Query, verify: Callable[..., dict[str, int]]
) -> None:
    """The database has them in no other form."""
    site.run("UPDATE retention SET kept_since = '2025-07-18 00:00:30+00' WHERE level = 'samples'")
    assert retried(site, settings) == [Retried("test/node", str(site.path), 30, 30, 31)]
    assert query("SELECT sum(quarantined), sum(expired) FROM ledger") == [(31, 0)]
    assert verify(site.path)["quarantined"] == 31


def test_rows_that_somebody_else_took_are_not_stored_twice(site: Site, settings: Settings, query: Query) -> None:
    retry = QuarantineRetry(settings, site.engine, lambda _: site.client)
    release = BatchWriter.release
    others = [None]

    def late(writer: BatchWriter, *given: object) -> object:
        while others:
            others.pop()
            assert retried(site, settings)[0].left == EARLY
        return release(writer, *given)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BatchWriter, "release", late)
        (second,) = retry(QuarantineFilter(), actor="test")
    assert (second.left, second.unreadable) == (0, "somebody else retries them")
    assert query(CLASSES) == [(NUMBER + 1, NUMBER, 0, 1, NUMBER + 1)]


def test_only_the_rows_that_are_asked_for(site: Site, settings: Settings) -> None:
    assert retried(site, settings, reason="bad_value") == [Retried("test/node", str(site.path), 0, 0, 1)]
    assert site.number() == NUMBER - EARLY


def test_a_row_that_is_bad_for_another_reason_by_now_says_so(site: Site, settings: Settings, query: Query) -> None:
    row = "2025-07-18T01:00:xxZ,DCGM_FI_DEV_GPU_UTIL,0,GPU-1,host-1,1"
    site.run(f"UPDATE quarantine SET raw = '{row}' WHERE reason = 'bad_value'")  # noqa: S608 - the text of above
    retried(site, settings)
    assert query("SELECT reason FROM quarantine") == [("bad_timestamp",)]


def test_a_file_that_no_edge_knows_is_left(site: Site, settings: Settings, redis_client: redis.Redis) -> None:
    redis_client.delete(*redis_client.keys(f"{settings.key_prefix}:source*"))
    (source,) = retried(site, settings)
    assert "no edge knows the file" in source.unreadable
    assert source.stay == EARLY + 1


def test_nothing_is_read_by_settings_that_are_not_its_edges(site: Site, settings: Settings) -> None:
    other = replace(settings, source_settings=(Rule(path=str(site.path), labels=(("rack", "7"),)),))
    (source,) = retried(site, other)
    assert "give both the same settings" in source.unreadable
    assert site.number() == NUMBER - EARLY


def test_nothing_is_read_by_a_header_that_is_not_its_own() -> None:
    settings = Settings.load({})
    header = HEADER.encode()
    state = source_state(interpretation="dcgm/3;floor=1;future=2;series=3;record=4")
    with pytest.raises(UnreadableError, match="looked for"):
        reader_of(settings, "a/n", state, header)
    with pytest.raises(UnreadableError, match="header is not known"):
        reader_of(settings, "a/n", source_state(window=Window(90, 12, header=0)), b"")
    with pytest.raises(UnreadableError, match="replayed"):
        reader_of(settings, "a/n", source_state(anchor_us=5), header)
    reader = reader_of(settings, "a/n", source_state(window=Window(900, 12, header=500)), header)
    row = rows(0, 1).strip().encode()
    assert reader.read(row, 400, 9, 1 << 60) is None
    read = reader.read(row, 600, 9, 1 << 60)
    assert read is not None
    assert read.values.tolist() == [0.0]
