"""Drops sealed days for ever, a month at a time. What the audit expects of them goes in the same transaction.

A reading of them that comes again is stored again. Rows of days that are not sealed stay.
"""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import Connection, text

# Readers and collectors wait behind this, but no longer than a query of the API takes.
LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '5s'")
LOCK = text("LOCK TABLE ONLY samples, late IN ACCESS EXCLUSIVE MODE")
IS_BEING_SEALED = text("""
    SELECT EXISTS (SELECT FROM sealed_spans WHERE sealed_at IS NULL AND first_day < :following AND end_day > :month)
""")
OF_MONTH = "(ts AT TIME ZONE 'UTC')::date >= :month AND (ts AT TIME ZONE 'UTC')::date < :following"
NUMBER = text(f"""
    SELECT (SELECT coalesce(sum(n), 0)::bigint FROM sealed WHERE day >= :month AND day < :following)
        + (SELECT count(*) FROM late WHERE {OF_MONTH})
""")  # noqa: S608 - the text above
DROP_LATE = text(f"DELETE FROM late WHERE {OF_MONTH}")  # noqa: S608 - the text above
EXPECT_NONE = text("""
    DELETE FROM tallies t USING sealed_spans s
    WHERE date '1970-01-01' + t.hour / 24 >= greatest(s.first_day, :month)
        AND date '1970-01-01' + t.hour / 24 < least(s.end_day, :following)
""")
FORGET_ARCHIVED = text("DELETE FROM archived_days WHERE day >= :month AND day < :following")
COUNT = text("""
    UPDATE sealed_spans s
    SET samples = (SELECT coalesce(sum(n), 0) FROM sealed WHERE day >= s.first_day AND day < s.end_day)
    WHERE first_day < :following AND end_day > :month
""")


def number(connection: Connection, month: date) -> int:
    """How many samples `drop` would drop of the month that begins with a day."""
    return int(connection.scalar(NUMBER, _days(month)) or 0)


def drop(connection: Connection, month: date) -> int | None:
    """Drop the sealed days of the month that begins with a day. Returns how many samples; None while one is being sealed."""
    connection.execute(LOCK_TIMEOUT)
    connection.execute(LOCK)
    days = _days(month)
    if connection.scalar(IS_BEING_SEALED, days):
        return None
    samples = number(connection, month)
    connection.execute(DROP_LATE, days)
    connection.execute(EXPECT_NONE, days)
    connection.execute(FORGET_ARCHIVED, days)
    connection.execute(text(f"DROP TABLE IF EXISTS sealed_{month:%Y%m}, sealed_times_{month:%Y%m}"))
    connection.execute(COUNT, days)
    return samples


def _days(month: date) -> dict[str, date]:
    return {"month": month, "following": (month + timedelta(days=31)).replace(day=1)}
