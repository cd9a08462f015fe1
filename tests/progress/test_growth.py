"""Since when a source is behind, by the notes of its file's size."""

from __future__ import annotations

from telemetry.progress.growth import MOST, Growth, behind_since_us


def since(growth: Growth, committed: int) -> int | None:
    return behind_since_us(growth.to_json(), committed)


def test_the_oldest_byte_that_is_not_committed_has_an_age() -> None:
    growth = Growth().noted(100, 10, 1).noted(100, 10, 2).noted(250, 10, 3)
    assert [since(growth, committed) for committed in (10, 99, 100, 249, 250)] == [1, 1, 3, 3, None]
    assert Growth.from_json(growth.noted(250, 100, 4).to_json()) == Growth(((250, 3),))


def test_a_file_that_shrank_is_noted_anew() -> None:
    assert Growth(((250, 3),)).noted(50, 10, 9) == Growth(((50, 9),))


def test_few_notes_are_kept_and_none_makes_a_byte_younger() -> None:
    growth = Growth()
    for n in range(1, 1000):
        growth = growth.noted(n * 10, 0, n)
    assert len(growth.notes) <= MOST
    assert since(growth, 0) == 1
    assert since(growth, 9985) == growth.notes[-1][1]
    assert all((since(growth, n * 10 - 5) or 0) <= n for n in range(1, 1000))
