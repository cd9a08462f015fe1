"""An edge that meets another generation of the database goes back to what its ledger holds; nobody tells it to."""

from __future__ import annotations

from pathlib import Path

import pytest

from telemetry.progress.acks import Held
from telemetry.progress.history import QUESTION
from telemetry.readings import wire
from telemetry.streamer.tick import Streamer
from tests.streamer.edge import HEADER, Edge, append, commit_all, rows, values
from tests.waiting import eventually

BEGIN = len(HEADER)


def asked(edge: Edge, streamer: Streamer) -> wire.Batch:
    """The question that a streamer sends."""

    def question() -> wire.Batch | None:
        streamer.tick(0)
        return next((batch for batch in edge.fetch() if batch.batch_id.startswith(QUESTION)), None)

    found = eventually(question)
    assert found is not None
    return found


def commit(edge: Edge, streamer: Streamer, file: Path, generation: str) -> list[wire.Batch]:
    """Let a streamer commit all of a file in a generation; the batches."""
    streamer.tick(0)
    batches = edge.fetch()
    edge.acknowledge(*batches, generation=generation)
    streamer.tick(0)
    assert edge.committed(file) == file.stat().st_size
    return batches


def test_what_another_generation_lacks_is_published_again(edge: Edge, file: Path) -> None:
    with edge.streamer() as streamer:
        batches = commit(edge, streamer, file, "one")
        assert edge.states()[0].generation == "one"
        edge.client.set(edge.keys.generation(), "two")
        question = asked(edge, streamer)
        assert (question.start, question.end, question.first_line) == (BEGIN, BEGIN, 2)
        edge.answer(question, "two", Held(batches[1].end, batches[1].start, batches[1].first_line, batches[3].end))
        streamer.tick(0)
        again = edge.fetch()
        assert [batch.batch_id for batch in again] == [batch.batch_id for batch in batches[1:]]
        assert edge.states()[0].generation == "two"
        edge.acknowledge(*again, generation="two")
        streamer.tick(0)
        assert edge.committed(file) == file.stat().st_size


def test_an_acknowledgement_of_another_generation_commits_nothing(edge: Edge, file: Path) -> None:
    with edge.streamer() as streamer:
        batches = commit(edge, streamer, file, "one")
        size = file.stat().st_size
        append(file, rows(35, 55))
        streamer.tick(0)
        first, second = edge.fetch()
        edge.acknowledge(second, generation="one")
        edge.acknowledge(first, generation="two")
        question = asked(edge, streamer)
        assert edge.committed(file) == size
        # The ledger of this one has all that was committed, and nothing behind it: what the other has stored is not there.
        edge.answer(question, "two", Held(size, batches[3].start, batches[3].first_line, size))
        streamer.tick(0)
        assert [batch.batch_id for batch in edge.fetch()] == [first.batch_id, second.batch_id]


def test_a_state_of_before_takes_the_first_generation_it_is_told(edge: Edge, file: Path) -> None:
    with edge.streamer() as streamer:
        commit_all(edge, streamer, file)
        edge.client.set(edge.keys.generation(), "one")
        append(file, rows(35, 45))
        assert values(commit(edge, streamer, file, "one")) == list(range(35, 45))
    assert edge.states()[0].generation == "one"


def test_the_question_is_asked_again_until_a_collector_of_this_version_answers(edge: Edge, file: Path) -> None:
    with edge.streamer(republish_after_s=0.05) as streamer:
        commit(edge, streamer, file, "one")
        edge.client.set(edge.keys.generation(), "two")
        first = asked(edge, streamer)
        edge.acknowledge(first)
        again = asked(edge, streamer)
        assert again.batch_id != first.batch_id
        edge.answer(again, "two", Held(file.stat().st_size, BEGIN, 2, 0))
        streamer.tick(0)
        assert edge.states()[0].generation == "two"
        assert edge.fetch() == []


def test_a_file_that_is_gone_from_its_path_is_set_back_through_its_descriptor(edge: Edge, file: Path) -> None:
    with edge.streamer() as streamer:
        commit(edge, streamer, file, "one")
        file.rename(file.with_suffix(".1"))
        edge.client.set(edge.keys.generation(), "two")
        edge.answer(asked(edge, streamer), "two", Held(BEGIN, BEGIN, 2, BEGIN))
        streamer.tick(0)
        assert values(edge.fetch()) == list(range(35))


def test_an_edge_whose_broker_was_emptied_while_it_was_away_asks(edge: Edge, file: Path) -> None:
    with edge.streamer(lease_s=0) as streamer:
        batches = commit(edge, streamer, file, "one")
        edge.client.flushdb()
        question = asked(edge, streamer)
        edge.answer(question, "one", Held(batches[0].end, batches[0].start, 2, batches[0].end))
        streamer.tick(0)
        assert [batch.batch_id for batch in edge.fetch()] == [batch.batch_id for batch in batches]


def test_now_and_then_the_ledger_is_asked_in_any_case(edge: Edge, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with edge.streamer() as streamer:
        batches = commit(edge, streamer, file, "one")
        monkeypatch.setattr("telemetry.streamer.tick.LOOK_EVERY_S", 0.0)
        size, last = file.stat().st_size, batches[3]
        edge.answer(asked(edge, streamer), "one", Held(size, last.start, last.first_line, size))
        # From here on a look begins at the last batch.
        look = asked(edge, streamer)
        assert (look.start, look.first_line) == (last.start, last.first_line)
        edge.answer(look, "one", Held(last.start, last.start, last.first_line, last.start))
        whole = asked(edge, streamer)
        assert whole.start == BEGIN
        edge.answer(whole, "one", Held(batches[1].end, batches[1].start, batches[1].first_line, batches[1].end))
        monkeypatch.undo()
        streamer.tick(0)
        assert values(edge.fetch()) == list(range(10, 35))


def test_a_renamed_file_is_not_read_again_for_its_old_name_in_the_ledger(
    edge: Edge, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with edge.streamer() as streamer:
        commit(edge, streamer, file, "one")
        monkeypatch.setattr("telemetry.streamer.tick.LOOK_EVERY_S", 0.0)
        edge.answer(asked(edge, streamer), "one", Held(BEGIN, BEGIN, 2, file.stat().st_size))
        monkeypatch.undo()
        streamer.tick(0)
        assert edge.fetch() == []
        assert edge.committed(file) == file.stat().st_size
