"""Since when a source is behind, by the notes of its file's size."""

from __future__ import annotations

from telemetry.progress.growth import MAX_NOTES, Note, behind_since_us, noted


def test_the_oldest_byte_that_is_not_committed_has_an_age() -> None:
    notes: tuple[Note, ...] = ()
    for size, now_us in ((100, 1), (100, 2), (250, 3)):
        notes = noted(notes, size, 10, now_us)
    assert [behind_since_us(notes, committed) for committed in (10, 99, 100, 249, 250)] == [1, 1, 3, 3, None]
    assert noted(notes, 250, 100, 4) == (Note(250, 3),)


def test_a_file_that_shrank_is_noted_anew() -> None:
    assert noted([Note(250, 3)], 50, 10, 9) == (Note(50, 9),)


def test_few_notes_are_kept_and_none_makes_a_byte_younger() -> None:
    notes: tuple[Note, ...] = ()
    for n in range(1, 1000):
        notes = noted(notes, n * 10, 0, n)
    assert len(notes) <= MAX_NOTES
    assert behind_since_us(notes, 0) == 1
    assert behind_since_us(notes, 9985) == notes[-1].seen_us
    assert all((behind_since_us(notes, n * 10 - 5) or 0) <= n for n in range(1, 1000))
