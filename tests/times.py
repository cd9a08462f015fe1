"""Times for tests that only need an order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

BEGIN = datetime(2025, 7, 18, 20, 0, tzinfo=UTC)


def at(minute: float) -> datetime:
    """A minute of a day."""
    return BEGIN + timedelta(minutes=minute)
