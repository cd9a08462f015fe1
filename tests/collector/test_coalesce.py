"""Each comes out once, in order, in groups of the size asked for; one that was delivered before in a smaller one or alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from telemetry.collector.coalesce import Buffer, Held

MESSAGES = st.lists(st.tuples(st.integers(1, 300), st.integers(0, 3)), max_size=60)


def filled(*readings: int, batch_size: int = 100, buffer_size: int = 1000, since_s: float = 0.0) -> Buffer[int]:
    buffer: Buffer[int] = Buffer(batch_size, 0.5, buffer_size)
    for n, count in enumerate(readings):
        buffer.add(Held(n, count, since_s))
    return buffer


def numbers(group: list[Held[int]]) -> list[int]:
    return [held.message for held in group]


@given(MESSAGES, st.integers(1, 400))
def test_every_message_comes_once_in_order_and_groups_are_no_larger_than_asked(
    messages: list[tuple[int, int]], batch_size: int
) -> None:
    buffer: Buffer[int] = Buffer(batch_size, 0.0, 10_000)
    for n, (readings, deliveries) in enumerate(messages):
        buffer.add(Held(n, readings, 0.0, deliveries))
    groups = []
    while group := buffer.take(0.0):
        groups.append(group)
        buffer.done(group)
    assert [n for group in groups for n in numbers(group)] == list(range(len(messages)))
    for group in groups:
        (deliveries,) = {held.deliveries for held in group}
        most = batch_size // 10 if deliveries else batch_size
        assert len(group) == 1 or (deliveries < 2 and sum(held.readings for held in group) <= most)
    assert buffer.held == 0


def test_messages_that_came_back_share_a_small_group_once_and_go_alone_after_that() -> None:
    buffer: Buffer[int] = Buffer(100, 0.5, 1000)
    for n, deliveries in enumerate([0, 1, 1, 1, 1, 2, 2, 0]):
        buffer.add(Held(n, 3, 0.0, deliveries))
    groups = []
    while group := buffer.take(0.5):
        groups.append(numbers(group))
    assert groups == [[0], [1, 2, 3], [4], [5], [6], [7]]


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
