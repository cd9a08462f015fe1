"""A broker whose clock is slow: what is too new by it alone is neither turned away nor passed over, it waits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from telemetry.progress.reading import Signals
from telemetry.streamer.tick import Streamer
from tests.streamer.edge import HEADER, Edge, append, values

HOURS_2_US = 2 * 3600 * 1_000_000


def stamped(at: datetime, first: int, last: int) -> str:
    """Rows of a time, a millisecond apart, their value their number."""
    return "".join(
        f"{at + timedelta(milliseconds=n):%Y-%m-%dT%H:%M:%S.%f}Z,DCGM_FI_DEV_GPU_UTIL,0,GPU-1,host-1,{n}\n"
        for n in range(first, last)
    )


@pytest.fixture
def file(folder: Path) -> Path:
    """A file of readings of just now."""
    path = folder / "a.csv"
    path.write_text(HEADER + stamped(datetime.now(UTC), 0, 25))
    return path


def slow_down(streamer: Streamer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the broker tell an earlier time."""
    signals = streamer.claims.signals

    def earlier(source_ids: Sequence[str]) -> Signals:
        said = signals(source_ids)
        return said._replace(now_us=said.now_us - HOURS_2_US)

    monkeypatch.setattr(streamer.claims, "signals", earlier)


@pytest.mark.parametrize("final", [False, True])
def test_what_is_too_new_by_the_brokers_clock_alone_waits(
    edge: Edge, file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, final: bool
) -> None:
    with edge.streamer() as streamer:
        streamer.held.final = final
        slow_down(streamer, monkeypatch)
        for _ in range(3):
            streamer.tick(0)
        assert edge.fetch() == []
        assert not any(stream.idle() for stream in streamer.streams.values())
        assert caplog.text.count("ahead of the broker's") == 1
        monkeypatch.undo()
        streamer.tick(0)
        batches = edge.fetch()
    assert values(batches) == list(range(25))
    assert not any(batch.readings.quarantined for batch in batches)


def test_what_is_too_new_by_both_is_turned_away(edge: Edge, file: Path) -> None:
    append(file, stamped(datetime.now(UTC) + timedelta(days=2), 25, 26))
    with edge.streamer() as streamer:
        streamer.tick(0)
        batches = edge.fetch()
    assert values(batches) == list(range(25))
    assert [row.reason for batch in batches for row in batch.readings.quarantined] == ["too_new"]


def test_a_copy_waits_as_what_is_new_does(edge: Edge, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with edge.streamer() as streamer:
        streamer.tick(0)
        first = edge.fetch()
        edge.client.set(edge.keys.epoch(), "another")
        slow_down(streamer, monkeypatch)
        streamer.tick(0)
        assert edge.fetch() == []
        monkeypatch.undo()
        streamer.tick(0)
        again = edge.fetch()
    assert [batch.batch_id for batch in again] == [batch.batch_id for batch in first]
    assert values(again) == list(range(25))


def test_what_is_too_new_by_all_but_the_databases_clock_waits(edge: Edge, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    append(file, stamped(datetime.now(UTC) + timedelta(days=2), 25, 30))
    edge.client.set(edge.keys.database_clock(), HOURS_2_US)
    with edge.streamer() as streamer:
        for _ in range(3):
            streamer.tick(0)
        assert [row for batch in edge.fetch() for row in batch.readings.quarantined] == []
        assert edge.states()[0].window.end < file.stat().st_size
        assert caplog.text.count("ahead of the broker's") == 1
        edge.client.delete(edge.keys.database_clock())
        streamer.tick(0)
        batches = edge.fetch()
    assert [row.reason for batch in batches for row in batch.readings.quarantined] == ["too_new"] * 5
