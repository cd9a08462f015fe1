"""How values look in JSON."""

from __future__ import annotations

from datetime import UTC, datetime


def instant(value: datetime | None) -> str | None:
    """A time as RFC 3339 in UTC, microseconds kept where there are any."""
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")
