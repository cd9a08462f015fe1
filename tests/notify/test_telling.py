"""People are told once, in groups, with a quiet time, again after a failure, and that it is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from telemetry.health import rules_file
from telemetry.notify.addresses import Address, AddressError, addresses
from telemetry.notify.messages import Message, Notice, message
from telemetry.notify.telling import PAUSE_S, Telling
from tests.times import at

RULES = rules_file.defaults()
OFF = Notice(1, "a:0", "H100", "xid-79", "faulty", at(0), None, {"namespace": "research", "pod": "p"})
HOT = Notice(2, "b:1", None, "gpu-hot", "degraded", at(1), None, {})


def test_a_message_says_what_is_wrong_with_whom_and_what_to_do() -> None:
    told = message(RULES, [OFF])
    assert (told.title, told.is_good) == ("GPU a:0: XID 79: GPU has fallen off the bus", False)
    assert told.text.splitlines() == [
        f"Faulty: XID 79: GPU has fallen off the bus. {RULES.rules['xid-79'].action}",
        "- a:0 (H100) since 2025-07-18 20:00:00 UTC, had by namespace research, pod p",
    ]


def test_many_findings_are_one_message_grouped_by_rule_the_gravest_first() -> None:
    told = message(RULES, [HOT, replace(HOT, id=3, gpu="b:2"), OFF])
    assert told.title == "3 GPUs need attention"
    assert [line.partition(":")[0] for line in told.text.splitlines()] == ["Faulty", "- a", "Degraded", "- b", "- b"]
    over = message(RULES, [replace(OFF, ended_at=at(9))])
    assert (over.title, over.is_good) == ("GPU a:0: over: XID 79: GPU has fallen off the bus", True)
    assert "until 2025-07-18 20:09:00 UTC" in over.text
    long = message(RULES, [replace(HOT, id=n, gpu=f"b:{n}") for n in range(100)])
    assert long.text.splitlines()[-1] == "… and 61 more lines: GET /api/v1/health has all"


@dataclass
class Place:
    """A place that may be away, and what it was told."""

    is_away: bool = False
    told: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> bool:
        if not self.is_away:
            self.told.append(message)
        return not self.is_away


class World:
    """Findings that wait, two places, and a clock."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.waiting: list[Notice] = []
        self.places = [Place(), Place()]
        both: Any = self.places
        self.telling = Telling(RULES, both, 300.0, lambda: list(self.waiting), self.note, lambda: self.now_s)

    def note(self, told: Sequence[Notice]) -> None:
        self.waiting = [each for each in self.waiting if each not in told]

    def at(self, second: float) -> list[int]:
        self.now_s = second
        self.telling.step()
        return [len(place.told) for place in self.places]


def test_there_is_a_quiet_time_between_messages() -> None:
    world = World()
    assert world.at(0) == [0, 0]
    world.waiting = [OFF]
    assert world.at(15) == [1, 1]
    world.waiting = [HOT]
    assert world.at(30) == [1, 1]
    world.waiting += [replace(OFF, ended_at=at(9))]
    assert world.at(315) == [2, 2]
    assert world.waiting == []
    assert len(world.places[0].told[-1].text.splitlines()) == 5


def test_a_place_that_is_away_is_tried_again_alone_and_ever_less_often() -> None:
    world = World()
    world.places[1].is_away = True
    world.waiting = [OFF]
    assert world.at(0) == [1, 0]
    assert world.waiting == [OFF]
    assert world.at(PAUSE_S) == [1, 0]
    world.places[1].is_away = False
    assert world.at(3 * PAUSE_S - 1) == [1, 0]
    assert world.at(3 * PAUSE_S) == [1, 1]
    assert world.waiting == []


def test_an_address_that_cannot_be_used_is_named_without_its_secret() -> None:
    with pytest.raises(AddressError, match=r"address 2 \(nowhere\)") as refused:
        addresses(["json://127.0.0.1/a", "nowhere://secret@host"])
    assert "secret" not in str(refused.value)


def test_a_place_that_does_not_answer_is_no_error() -> None:
    assert not Address(1, "json://127.0.0.1:9/").send(message(RULES, [OFF]))
