"""What was stored and is gone is noticed, told and read again, whoever took it: samples, ledger rows, acknowledgements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
import redis
from prometheus_client.metrics_core import Metric
from sqlalchemy import Engine

from telemetry import broker
from telemetry.audit import healing
from telemetry.audit.rereading import Rereading
from telemetry.audit.samples import Round, SampleAudit, differences
from telemetry.exporter.audits import GapAudit, SampleAuditLook, ShortfallLook
from telemetry.progress import reading
from telemetry.progress.acks import Ack, Acks
from telemetry.progress.everywhere import Everywhere
from telemetry.progress.keys import Keys
from telemetry.settings import Settings
from telemetry.store.partitions import Span
from telemetry.store.read import counted
from telemetry.store.read.counted import EVERY, Hour
from telemetry.store.read.gaps import gaps
from telemetry.store.upkeep import chores, dropping, ledger_folding, sealing, tally_folding
from telemetry.store.upkeep.chores import SEALING
from tests.scrape import total, values
from tests.sites import Site, site_of
from tests.store.upkeep.test_sealing import seal_all
from tests.streamer.edge import HEADER, append, rows
from tests.waiting import eventually

Look = Callable[[], list[Metric]]
NUMBER = 600


@pytest.fixture
def site(settings: Settings, engine: Engine, redis_client: redis.Redis, tmp_path: Path) -> Iterator[Site]:
    path = tmp_path / "dump.csv"
    append(path, HEADER + rows(0, NUMBER))
    with site_of(path, settings, engine, redis_client) as made:
        eventually(lambda: is_whole(made))
        yield made


def is_whole(site: Site) -> bool:
    """Whether, after a tick, everything is committed and there once."""
    return site.is_committed() and site.number() == NUMBER


def look_at(site: Site, clients: Mapping[str, redis.Redis] | None = None) -> Look:
    """A look that counts, and then has read again what is gone."""
    count, heal = SampleAuditLook(site.engine), ShortfallLook(site.engine, site.settings, clients or {"": site.client})
    return lambda: [*count(), *heal()]


def gap_audit(site: Site, clients: Mapping[str, redis.Redis] | None = None) -> GapAudit:
    return GapAudit(site.engine, replace(site.settings, gap_alert_s=0), clients or {"": site.client})


@pytest.fixture
def one_away(site: Site) -> Iterator[dict[str, redis.Redis]]:
    """Two brokers, of which the first does not answer."""
    with broker.connect(replace(site.settings, broker_url="redis://127.0.0.1:1/0"), retries=0) as away:
        yield {"away": away, "here": site.client}


def missing(look: Look) -> float | None:
    return total(values(look()), "telemetry_missing_samples")


def test_nothing_is_missing_of_what_is_whole(site: Site) -> None:
    look, gaps = look_at(site), gap_audit(site)
    for _ in range(3):
        assert missing(look) == 0
        assert total(values(gaps()), "telemetry_ledger_gaps") == 0
    assert site.edge.committed(site.path) == site.path.stat().st_size
    assert site.run("DELETE FROM shortfalls") == 0


@pytest.mark.parametrize("is_folded", [False, True])
def test_samples_that_were_deleted_come_back(site: Site, is_folded: bool, caplog: pytest.LogCaptureFixture) -> None:
    look = look_at(site)
    if is_folded:
        site.run("UPDATE batches SET committed_at = committed_at - interval '3 days'")
        with site.engine.begin() as connection:
            assert ledger_folding.fold(connection, 3600.0) > 1
            assert tally_folding.fold(connection, site.settings, 100) > 1
            assert tally_folding.fold(connection, site.settings, 100) == 0
    assert site.run("DELETE FROM samples WHERE value BETWEEN 101 AND 130") == 30
    assert missing(look) == 30
    assert "30 samples of samples_" in caplog.text
    eventually(lambda: is_whole(site))
    assert missing(look) == 0
    assert site.run("DELETE FROM shortfalls WHERE missing = restored AND settled_at IS NOT NULL") == 1
    assert missing(look) == 0


def test_samples_that_nobody_brought_are_told_and_taken_for_the_figure(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    look = look_at(site)
    site.run("INSERT INTO samples SELECT series_id, ts + interval '1 microsecond', value FROM samples WHERE value < 7")
    assert missing(look) == 0
    assert "7 samples of samples_202507 were stored past the ledger" in caplog.text
    assert site.run("DELETE FROM samples WHERE value = 100") == 1
    assert missing(look) == 1


def test_a_partition_that_is_older_than_the_tallies_is_counted_first(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.run("DELETE FROM tallies")
    site.run("DELETE FROM counted_partitions")
    look = look_at(site)
    assert missing(look) == 0
    assert "past the ledger" not in caplog.text
    site.run("DELETE FROM samples WHERE value = 100")
    assert missing(look) == 1


def test_samples_of_sealed_days_are_counted_and_come_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is late, or is merged, or is being sealed, is there all the same."""
    monkeypatch.setattr(sealing, "QUIET_S", 0.0)
    sealer, look = replace(site.settings, seal_after_days=1), look_at(site)
    while chores.run(site.engine, sealer, SEALING, SEALING.max_rows):
        assert missing(look) == 0
    assert missing(look) == 0
    assert site.run("DELETE FROM sealed") == 1
    assert missing(look) == NUMBER
    eventually(lambda: is_whole(site))
    assert missing(look) == 0
    seal_all(site.engine, sealer)
    assert site.run("DELETE FROM late") == 0
    assert site.number() == NUMBER
    assert missing(look) == 0


def test_samples_that_go_while_their_day_is_sealed_come_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "QUIET_S", 0.0)
    sealer, look = replace(site.settings, seal_after_days=1), look_at(site)
    assert missing(look) == 0
    assert chores.run(site.engine, sealer, SEALING, SEALING.max_rows)
    assert missing(look) == 0
    assert site.run("DELETE FROM samples WHERE value < 30") == 30
    assert missing(look) == 30
    eventually(lambda: is_whole(site))
    assert missing(look) == 0
    seal_all(site.engine, sealer)
    assert (site.number(), missing(look)) == (NUMBER, 0)


def test_sealed_days_that_are_dropped_are_not_missing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "QUIET_S", 0.0)
    sealer, look = replace(site.settings, seal_after_days=1), look_at(site)
    seal_all(site.engine, sealer)
    assert missing(look) == 0
    with site.engine.begin() as connection:
        assert dropping.drop(connection, date(2025, 7, 1)) == NUMBER
    assert (site.number(), missing(look)) == (0, 0)
    append(site.path, rows(NUMBER, NUMBER + 20))
    eventually(site.is_committed)
    seal_all(site.engine, sealer)
    assert (site.number(), site.run("DELETE FROM late"), missing(look)) == (20, 0, 0)


def test_what_an_operator_drops_is_not_missing(site: Site) -> None:
    look = look_at(site)
    assert missing(look) == 0
    site.run("DROP TABLE samples_202507")
    assert missing(look) == 0
    append(site.path, rows(NUMBER, NUMBER + 20))

    def is_stored() -> bool:
        site.go_on()
        return site.number() == 20

    eventually(is_stored)
    assert missing(look) == 0


def test_a_large_partition_is_counted_in_pieces(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    append(site.path, rows(0, NUMBER).replace("GPU-1", "GPU-2"))

    def is_stored() -> bool:
        site.go_on()
        return site.number() == 2 * NUMBER

    eventually(is_stored)
    monkeypatch.setattr(counted, "PIECE_SAMPLES", 400)
    audit = SampleAudit(site.engine, 0.0)
    # With no time for more than one piece a call.
    for _ in range(8):
        audit.count()
        assert site.run("DELETE FROM shortfalls") == 0
    site.run("DELETE FROM samples WHERE value = 100")

    def is_found() -> bool:
        audit.count()
        return site.run("DELETE FROM shortfalls WHERE missing = 2") == 1

    eventually(is_found)


def test_what_is_deleted_while_others_come_back_comes_back_too(site: Site) -> None:
    look = look_at(site)
    site.run("DELETE FROM samples WHERE value BETWEEN 101 AND 130")
    assert missing(look) == 30
    site.go_on()
    site.run("DELETE FROM samples WHERE value BETWEEN 1 AND 10")

    def is_settled() -> bool:
        site.go_on()
        return missing(look) == 0 and site.number() == NUMBER

    eventually(is_settled)


def test_samples_whose_file_is_gone_are_told_of_until_a_person_accepts_it(site: Site) -> None:
    look = look_at(site)
    site.path.unlink()
    site.streamer.close()
    site.client.delete(*site.client.keys(f"{site.settings.key_prefix}:source*"))
    site.run("DELETE FROM samples WHERE value < 5")
    for _ in range(3):
        assert missing(look) == 5


def test_a_file_that_is_gone_while_rows_of_it_are_on_their_way_is_not_read_again(site: Site) -> None:
    """Its edge would have nothing to read, and call lost what is stored."""
    look, keys = look_at(site), Keys(site.settings.key_prefix)
    append(site.path, rows(NUMBER, NUMBER + 10))
    # Published, and not stored.
    site.streamer.tick(0)
    site.path.unlink()
    batches = site.run("UPDATE batches SET status = status")

    def is_known_to_be_gone() -> bool:
        site.streamer.tick(0)
        (state,) = reading.sources(site.client, keys, site.edge.settings.edge).values()
        return state.gone and bool(state.window.flights)

    eventually(is_known_to_be_gone)
    site.run("DELETE FROM samples WHERE value < 5")
    for _ in range(3):
        assert missing(look) == 5
    assert site.run("UPDATE batches SET status = status") == batches


@pytest.mark.parametrize("how", ["a row of the ledger is removed", "an acknowledgement is forged"])
def test_bytes_that_the_ledger_lacks_are_read_again(site: Site, how: str) -> None:
    audit = gap_audit(site)
    if "removed" in how:
        # The first: a question begins behind it, as it was held before.
        assert site.run("DELETE FROM batches WHERE start_offset = (SELECT min(start_offset) FROM batches)") == 1
        expected = NUMBER
    else:
        append(site.path, rows(NUMBER, NUMBER + 20))
        site.streamer.tick(0)
        (stolen,) = site.edge.fetch()
        Acks(site.client, Keys(site.settings.key_prefix), 60).send(
            [Ack(stolen.edge, stolen.source.id, stolen.batch_id, "stored")]
        )
        site.streamer.tick(0)
        assert site.edge.committed(site.path) == site.path.stat().st_size
        expected = NUMBER + 20
        assert site.number() == NUMBER
    assert total(values(audit()), "telemetry_gap_rereads_total") == 1

    def is_healed() -> bool:
        site.go_on()
        is_committed = site.edge.committed(site.path) == site.path.stat().st_size
        return is_committed and site.number() == expected and total(values(audit()), "telemetry_ledger_gaps") == 0

    eventually(is_healed)
    assert missing(look_at(site)) == 0


def test_samples_come_back_while_another_broker_is_away(site: Site, one_away: dict[str, redis.Redis]) -> None:
    look = look_at(site, one_away)
    site.run("DELETE FROM samples WHERE value BETWEEN 101 AND 130")
    assert missing(look) == 30
    eventually(lambda: is_whole(site))
    assert missing(look) == 0


def test_bytes_are_read_again_while_another_broker_is_away(site: Site, one_away: dict[str, redis.Redis]) -> None:
    """Also where the first gap that is found is of an edge at that broker."""
    site.run("DELETE FROM batches WHERE start_offset = (SELECT min(start_offset) FROM batches)")
    keys = Keys(site.settings.key_prefix)
    edges = Everywhere(one_away, keys)
    edges.look()
    assert list(edges.away) == ["away"]
    of_both = {"other/edge": edges.states["test/node"], **edges.states}
    rereading = Rereading(edges.client_of, keys)
    with site.engine.connect() as connection:
        (gap,) = gaps(connection, 0, reading.committed(edges.states), [])
        rereading.heal(connection, [replace(gap, edge="other/edge"), gap], of_both)
    assert rereading.number == 1
    eventually(lambda: is_whole(site))


def test_all_came_back_where_all_was_read_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last batch of what is read again may reach beyond what was there before: what it stores does not count."""
    look = look_at(site)
    missing(look)
    site.run("DELETE FROM samples WHERE value = 599")
    assert missing(look) == 1
    monkeypatch.setattr(healing, "SETTLING", timedelta(0))
    append(site.path, rows(NUMBER, NUMBER + 20))
    site.run("UPDATE rereads SET end_offset = end_offset - 1")

    def is_settled() -> bool:
        site.go_on()
        return site.number() == NUMBER + 20 and missing(look) == 0

    eventually(is_settled)


def test_an_hour_that_is_written_to_while_it_is_counted_says_nothing() -> None:
    one = Round(Span("samples_1970", 0, 365), [EVERY])
    one.add({1: Hour(10, 6), 2: Hour(5, 5), 3: Hour(7, 3)})
    one.add({1: Hour(10, 4), 3: Hour(9, 4), 4: Hour(1, 1)})
    assert one.moved == {2, 3, 4}
    assert one.suspects() == set()
    one.there[1] -= 1
    assert one.suspects() == {1}


def test_of_some_hours_what_is_missing_and_what_is_too_much() -> None:
    hours = {1: Hour(10, 7), 2: Hour(3, 5), 3: Hour(4, 4), 4: Hour(9, 0)}
    assert differences(hours, {1, 2, 3}) == ({1: 3}, {2: 2})
