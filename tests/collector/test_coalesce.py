"""Messages come out once, in order, in groups of the size asked for; one that was delivered before comes alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from telemetry.collector.coalesce import Buffer, Held

MESSAGES = st.lists(st.tuples(st.integers(1, 300), st.booleans()), max_size=60)


def filled(*readings: int, batch_size: int = 100, buffer_size: int = 1000, since_s: float = 0.0) -> Buffer[int]:
    buffer: Buffer[int] = Buffer(batch_size, 0.5, buffer_size)
    for n, count in enumerate(readings):
        buffer.add(Held(n, count, since_s))
    return buffer


def numbers(group: list[Held[int]]) -> list[int]:
    return [held.message for held in group]


@given(MESSAGES, st.integers(1, 400))
def test_every_message_comes_once_in_order_and_groups_are_no_larger_than_asked(
    messages: list[tuple[int, bool]], batch_size: int
) -> None:
    buffer: Buffer[int] = Buffer(batch_size, 0.0, 10_000)
    for n, (readings, alone) in enumerate(messages):
        buffer.add(Held(n, readings, 0.0, alone))
    groups = []
    while group := buffer.take(0.0):
        groups.append(group)
        buffer.done(group)
    assert [n for group in groups for n in numbers(group)] == list(range(len(messages)))
    for group in groups:
        assert len(group) == 1 or sum(held.readings for held in group) <= batch_size
        assert len(group) == 1 or not any(held.alone for held in group)
    assert buffer.held == 0


def test_a_group_waits_to_be_filled_but_not_for_ever() -> None:
    buffer = filled(30, 30)
    assert buffer.take(0.49) == []
    assert buffer.due_s() == 0.5
    assert numbers(buffer.take(0.5)) == [0, 1]
    assert buffer.take(9.0) == []


def test_a_full_group_does_not_wait() -> None:
    assert numbers(filled(60, 40, 10).take(0.0)) == [0, 1]


def test_nothing_waits_when_no_more_may_be_held() -> None:
    assert numbers(filled(60, batch_size=100, buffer_size=60).take(0.0)) == [0]


def test_a_group_that_is_not_done_takes_room() -> None:
    buffer = filled(100, 100, buffer_size=200)
    assert buffer.room() == 0
    group = buffer.take(0.0)
    assert buffer.room() == 0
    buffer.done(group)
    assert buffer.room() == 1


def test_room_is_counted_in_messages_like_the_last() -> None:
    assert filled(100, buffer_size=1100).room() == 10
    assert filled(100, 5000, buffer_size=11_000).room() == 1
