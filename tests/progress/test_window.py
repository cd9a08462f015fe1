"""The window's decisions, one by one, and as a state machine against a broker that loses, doubles and reorders."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from telemetry.progress.evidence import Evidence, Probe
from telemetry.progress.flight import Clock, Flight
from telemetry.progress.window import Window
from tests.examples import examples

AFTER_S = 10.0
NOW = Clock(1000.0, "boot")
FILE_BYTES = 200
ROOM_BYTES = 50


def flight(start: int, end: int, *, sent_s: float = 0.0, tries: int = 1, boot: str = "boot", epoch: str = "e") -> Flight:
    return Flight(f"{start}-{end}", start, end, start, end, sent_s, boot, epoch, 0, tries)


def window(*flights: Flight) -> Window:
    made = Window(0, 0)
    for each in flights:
        made = made.publish(each)
    return made


def names(flights: list[Flight]) -> list[str]:
    return [each.batch_id for each in flights]


def test_only_the_contiguous_prefix_is_committed() -> None:
    made = window(flight(0, 10), flight(10, 20), flight(20, 30)).acknowledge(frozenset({"10-20"}))
    assert (made.committed, made.span) == (0, 30)
    made = made.acknowledge(frozenset({"0-10", "unknown"}))
    assert (made.committed, made.line, made.span) == (20, 20, 10)


def test_a_gap_is_refused() -> None:
    with pytest.raises(ValueError, match="does not continue"):
        window(flight(0, 10), flight(11, 20))


def test_age_alone_is_no_evidence() -> None:
    assert window(flight(0, 10)).suspects(Evidence("e"), NOW, AFTER_S) == []


def test_an_empty_queue_speaks_for_the_loss_of_what_is_old_enough() -> None:
    made = window(flight(0, 10, sent_s=980), flight(10, 20, sent_s=995))
    assert names(made.suspects(Evidence("e", empty_since_s=996), NOW, AFTER_S)) == ["0-10"]


def test_a_queue_found_empty_says_nothing_of_what_came_after() -> None:
    made = window(flight(0, 10, sent_s=980), flight(10, 20, sent_s=982))
    assert names(made.suspects(Evidence("e", empty_since_s=981), NOW, AFTER_S)) == ["0-10"]


def test_a_batch_published_clearly_later_speaks_for_the_loss_of_an_earlier_one() -> None:
    made = window(flight(0, 10, sent_s=900), flight(10, 20, sent_s=905))
    assert names(made.suspects(Evidence("e", acked_sent_s=911), NOW, AFTER_S)) == ["0-10"]


def test_another_broker_has_none_of_it() -> None:
    made = window(flight(0, 10, sent_s=999), flight(10, 20, sent_s=999, epoch="new"))
    assert names(made.suspects(Evidence("new"), NOW, AFTER_S)) == ["0-10"]


@pytest.mark.parametrize("boot", ["boot", "other"])
def test_a_stamp_of_another_boot_or_of_a_time_that_was_taken_back_counts_as_old(boot: str) -> None:
    made = window(flight(0, 10, sent_s=5000, boot=boot))
    assert names(made.suspects(Evidence("e", empty_since_s=999, taken_s=998), NOW, AFTER_S)) == ["0-10"]


def test_what_another_boot_published_came_before_the_source_was_taken_and_no_more_is_known() -> None:
    made = window(flight(0, 10, sent_s=5, boot="other"))
    assert not made.suspects(Evidence("e", empty_since_s=997, acked_sent_s=1000, taken_s=998), NOW, AFTER_S)
    assert not made.suspects(Evidence("e", empty_since_s=997, acked_sent_s=1000), NOW, AFTER_S)
    assert made.suspects(Evidence("e", acked_sent_s=1000, taken_s=990), NOW, AFTER_S)


def test_each_try_waits_longer() -> None:
    empty = Evidence("e", empty_since_s=0.0)
    for tries, wait_s in ((1, 10), (2, 20), (3, 40)):
        made = window(flight(0, 10, tries=tries))
        assert not made.suspects(empty, Clock(wait_s - 0.1, "boot"), AFTER_S)
        assert made.suspects(empty, Clock(wait_s * 1.25, "boot"), AFTER_S)


def test_probes_wait_longer_but_not_for_ever() -> None:
    for tries, wait_s in ((1, 20), (5, 320), (30, 320)):
        assert not Probe("probe-x", 0.0, tries).is_due_again(Clock(wait_s - 0.1, "boot"), AFTER_S)
        assert Probe("probe-x", 0.0, tries).is_due_again(Clock(wait_s, "boot"), AFTER_S)


def test_it_survives_json() -> None:
    made = window(flight(0, 10), flight(10, 20, tries=3)).acknowledge(frozenset({"10-20"}))
    assert msgspec.json.decode(msgspec.json.encode(made), type=Window) == made


class Pipeline(RuleBasedStateMachine):
    """An edge, a lossy and duplicating broker, and a centre with a ledger. Time moves only when something says so."""

    def __init__(self) -> None:
        super().__init__()
        self.now = Clock(0.0, "boot-0")
        self.epoch = "epoch-0"
        self.window = Window(0, 0)
        self.saved = self.window
        self.queue: list[Flight] = []
        self.acks: set[str] = set()
        self.ledger: dict[str, Flight] = {}
        self.effects: list[tuple[int, int]] = []
        self.taken_s = 0.0
        self.acked_sent_s: float | None = None
        # When each batch was last published, as nobody in the system knows it: by a count of all publications.
        self.publications = 0
        self.order: dict[str, int] = {}
        self.acked_order: int | None = None

    def note(self, batch_id: str) -> None:
        self.publications += 1
        self.order[batch_id] = self.publications

    def publish_next(self, size: int) -> Flight:
        end = min(self.window.end + size, FILE_BYTES)
        return replace(
            flight(self.window.end, end, sent_s=self.now.seconds, boot=self.now.boot, epoch=self.epoch),
        )

    @precondition(lambda self: self.window.end < FILE_BYTES and self.window.span < ROOM_BYTES)
    @rule(size=st.integers(1, 20), arrives=st.booleans())
    def publish(self, size: int, arrives: bool) -> None:
        new = self.publish_next(size)
        self.window = self.saved = self.window.publish(new)
        self.note(new.batch_id)
        self.queue += [new] if arrives else []

    @rule(boot=st.sampled_from(["", "-elsewhere"]))
    def be_taken_over(self, boot: str) -> None:
        """Another process goes on, on this machine or another whose clock tells another time."""
        self.crash()
        if boot:
            self.now = Clock(5000.0 - self.now.seconds, self.now.boot + boot)
        self.taken_s = self.now.seconds
        self.acked_sent_s = None

    @rule()
    def republish_what_was_passed(self) -> None:
        """What an acknowledgement speaks against is published again; it was published before the one that is acknowledged."""
        evidence = Evidence(self.epoch, acked_sent_s=self.acked_sent_s, taken_s=self.taken_s)
        for suspect in self.window.suspects(evidence, self.now, AFTER_S):
            if suspect.epoch == self.epoch:
                assert self.acked_order is not None
                assert self.order[suspect.batch_id] < self.acked_order
            self.window = self.saved = self.window.sent_again(suspect.batch_id, self.now, self.epoch)
            self.note(suspect.batch_id)
            self.queue.append(suspect)

    @rule(arrives=st.booleans())
    def publish_again(self, arrives: bool) -> None:
        for suspect in self.window.suspects(
            Evidence(self.epoch, empty_since_s=None if self.queue else self.now.seconds, taken_s=self.now.seconds),
            self.now,
            AFTER_S,
        ):
            self.window = self.saved = self.window.sent_again(suspect.batch_id, self.now, self.epoch)
            self.note(suspect.batch_id)
            self.queue += [suspect] if arrives else []

    @precondition(lambda self: self.queue)
    @rule(data=st.data(), again=st.booleans(), acks=st.booleans())
    def deliver(self, data: st.DataObject, again: bool, acks: bool) -> None:
        message = self.queue.pop(data.draw(st.integers(0, len(self.queue) - 1)))
        if message.batch_id not in self.ledger:
            self.ledger[message.batch_id] = message
            self.effects.append((message.start, message.end))
        self.acks |= {message.batch_id} if acks else set()
        self.queue += [message] if again else []

    @precondition(lambda self: self.queue)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        self.queue.pop(data.draw(st.integers(0, len(self.queue) - 1)))

    @rule(saves=st.booleans())
    def collect(self, saves: bool) -> None:
        for each in self.window.flights:
            if each.batch_id in self.acks and each.tries == 1 and each.boot == self.now.boot:
                self.acked_sent_s = max(each.sent_s, self.acked_sent_s or 0.0)
                self.acked_order = max(self.order[each.batch_id], self.acked_order or 0)
        self.window = self.window.acknowledge(frozenset(self.acks))
        if saves:
            self.saved = self.window
            self.acks.clear()

    @rule()
    def crash(self) -> None:
        self.window = msgspec.json.decode(msgspec.json.encode(self.saved), type=Window)

    @rule()
    def reboot(self) -> None:
        self.crash()
        self.now = Clock(0.0, self.now.boot + "-again")
        self.taken_s, self.acked_sent_s = 0.0, None

    @rule()
    def replace_the_broker(self) -> None:
        self.epoch = f"epoch-{int(self.epoch[6:]) + 1}"
        self.queue.clear()
        self.acks.clear()

    @rule()
    def lose_acks(self) -> None:
        self.acks.clear()

    @rule(seconds=st.floats(0, 100))
    def wait(self, seconds: float) -> None:
        self.now = Clock(self.now.seconds + seconds, self.now.boot)

    @invariant()
    def what_is_committed_is_stored(self) -> None:
        at = 0
        for start, end in sorted(self.effects):
            if start == at:
                at = end
        assert self.window.committed <= at

    @invariant()
    def no_effect_is_applied_twice(self) -> None:
        assert len(set(self.effects)) == len(self.effects)
        ordered = sorted(self.effects)
        assert all(before[1] <= after[0] for before, after in pairwise(ordered))

    @invariant()
    def the_span_is_bounded(self) -> None:
        assert self.window.span < ROOM_BYTES + 20

    def teardown(self) -> None:
        """Once the broker is kind, everything gets through."""
        self.crash()
        for _ in range(200):
            if self.window.committed == FILE_BYTES:
                break
            while self.window.end < FILE_BYTES and self.window.span < ROOM_BYTES:
                self.publish(20, arrives=True)
            self.now = Clock(self.now.seconds + 1000, self.now.boot)
            self.publish_again(arrives=True)
            for message in self.queue:
                self.ledger.setdefault(message.batch_id, message)
                self.acks.add(message.batch_id)
            self.queue.clear()
            self.collect(saves=True)
        assert self.window.committed == FILE_BYTES


TestPipeline = Pipeline.TestCase
TestPipeline.settings = settings(max_examples=examples(150), stateful_step_count=40, deadline=None)
