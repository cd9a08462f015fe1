"""The time from which chores count ages: a wrong clock must not make them take what is new for old.

Nothing that was dropped for its age comes back. So the earlier of two clocks counts: the database's, and that of the process
that asks. Where both are one machine's, `newest_day` is a third: readings have the times of the machines that wrote them.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, text

NOW = text("SELECT least(clock_timestamp(), CAST(:own AS timestamptz))")
NEWEST = text("SELECT max(hour) FROM tallies WHERE stored > 0")


def now(connection: Connection) -> datetime:
    """The time by the earlier of the clocks of database and process."""
    moment: datetime = connection.execute(NOW, {"own": own()}).scalar_one()
    return moment


def own() -> datetime:
    """The time by the clock of this process."""
    return datetime.now(UTC)


def newest_day(connection: Connection) -> int | None:
    """The day of the newest reading that was stored, counted from 1970; None if none was."""
    hour: int | None = connection.scalar(NEWEST)
    return None if hour is None else hour // 24
