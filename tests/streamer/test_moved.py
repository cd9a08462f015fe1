"""A source that was moved to another broker, and whose file is gone by then: only what the ledger lacks is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from telemetry.progress.acks import Held
from telemetry.progress.history import QUESTION
from telemetry.readings import wire
from telemetry.streamer.orphan import Orphan
from telemetry.streamer.phase import GONE
from telemetry.streamer.tick import Streamer
from tests.streamer.edge import HEADER, Edge
from tests.waiting import eventually

BEGIN = len(HEADER)


@pytest.fixture
def gone(edge: Edge, file: Path) -> list[wire.Batch]:
    """The batches of a file that went after they were published at another broker."""
    with edge.streamer() as streamer:
        streamer.tick(0)
    batches = edge.fetch()
    edge.client.set(edge.keys.epoch(), "of another broker")
    file.unlink()
    return batches


def several(edge: Edge) -> dict[str, object]:
    quick = {"close_after_s": 0.2, "republish_after_s": 0.05, "lease_s": 1}
    return {"broker_urls": (("a", edge.settings.broker_url), ("b", "redis://nowhere/0")), **quick}


def answered(edge: Edge, streamer: Streamer, held: Held) -> bool:
    """Tick, and answer a question that comes."""
    streamer.tick(0)
    asked = [batch for batch in edge.fetch() if batch.batch_id.startswith(QUESTION)]
    for question in asked:
        edge.answer(question, "one", held)
    return bool(asked)


def until(edge: Edge, streamer: Streamer, held: Held, condition: Callable[[], object]) -> None:
    """Tick and answer until something is so."""

    def holds() -> bool:
        answered(edge, streamer, held)
        return bool(condition())

    eventually(holds)


def test_what_waited_at_the_other_broker_is_not_lost(edge: Edge, gone: list[wire.Batch]) -> None:
    end = gone[-1].end
    with edge.streamer(**several(edge)) as streamer:
        # The collectors there have not come to it yet.
        for held in (Held(BEGIN, BEGIN, 2, BEGIN), Held(gone[1].end, gone[1].start, 2, end)):
            assert eventually(lambda held=held: answered(edge, streamer, held))  # type: ignore[misc]
            streamer.tick(0)
            assert edge.lost() == []
            assert edge.states()
        until(edge, streamer, Held(end, gone[-1].start, 2, end), lambda: not edge.states())
    assert edge.lost() == []


def test_what_never_comes_is_lost_after_a_while(edge: Edge, gone: list[wire.Batch], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Orphan, "patience_s", 0.3)
    end = gone[1].end
    with edge.streamer(**several(edge)) as streamer:
        until(edge, streamer, Held(end, gone[1].start, 2, end), lambda: not edge.states())
    assert edge.lost() == [(end, gone[-1].end, GONE.reason)]
