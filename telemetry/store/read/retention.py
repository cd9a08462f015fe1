"""From when on each level is kept, and what was dropped of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

LEVELS = text("SELECT level, kept_since, days, done_at, dropped, partitions FROM retention ORDER BY level DESC")


class Retained(NamedTuple):
    """A level: see `telemetry.store.models.retention.Retention`."""

    level: str
    kept_since: datetime | None
    days: int | None
    done_at: datetime | None
    dropped: int
    partitions: int

    def document(self) -> dict[str, Any]:
        """For programs."""
        times = {name: getattr(self, name) for name in ("kept_since", "done_at")}
        return {**self._asdict(), **{name: at.isoformat() if at else None for name, at in times.items()}}


def retained(connection: Connection) -> list[Retained]:
    """All levels, `samples` first."""
    return [Retained(*row) for row in connection.execute(LEVELS)]
