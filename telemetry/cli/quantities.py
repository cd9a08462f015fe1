"""Numbers as people read them: sizes, lengths of time, and numbers with their nouns."""

from __future__ import annotations

STEP = 1000
SIZES = ("kB", "MB", "GB", "TB", "PB")
# Each unit is used from twice its length on, so that "1 h" never stands for nearly two.
TIMES = ((86_400, "day", "days"), (3600, "h", "h"), (60, "min", "min"))


def size(number: float) -> str:
    """Bytes, in units of 1,000: 612 bytes, 1.2 kB, 27 MB."""
    if number < STEP:
        return counted(int(number), "byte")
    unit = -1
    # What would be rounded to 1,000 is 1.0 of the next unit.
    while number >= STEP - 0.5 and unit + 1 < len(SIZES):
        number, unit = number / STEP, unit + 1
    return f"{number:.1f} {SIZES[unit]}" if round(number, 1) < 10 else f"{number:,.0f} {SIZES[unit]}"  # noqa: PLR2004 - two digits


def duration(seconds: float) -> str:
    """A length of time, rounded down: 45 s, 3 min, 5 h, 2 days."""
    for length_s, one, more in TIMES:
        if seconds >= 2 * length_s:
            return counted(int(seconds // length_s), one, more)
    return f"{max(0, int(seconds))} s"


def counted(number: int, one: str, more: str | None = None) -> str:
    """A number with its noun in the right form."""
    return f"{number:,} {one if number == 1 else more or f'{one}s'}"
