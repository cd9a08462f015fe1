"""Sessions behind a pooler of transactions, such as PgBouncer: each transaction may run in another session of the server.

What is set for a session, a lock that it holds, and statements that it has prepared do not last there. So nothing is prepared,
and the limits of a session come from the role; a role without them is refused. Only the API works so: it holds nothing from one
transaction to the next. A collector must notice when the server behind its connection has become another one
(docs/MESSAGE_QUEUE_DESIGN.md, One history), which a pooler hides.
"""

from __future__ import annotations

from typing import Any

import psycopg
from sqlalchemy import Engine, event

from telemetry.settings import Settings, SettingsError

# What may use one: the application's name.
WORKS_FOR = {"api", "doctor"}
# Of a session: what must not be 0, and what must be as it says.
LIMITS = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
FIXED = {"synchronous_commit": ("on", "remote_apply"), "TimeZone": ("UTC", "Etc/UTC")}
LOOK = f"SELECT current_user, {', '.join(f'current_setting({name!r})' for name in (*LIMITS, *FIXED))}"


def check(settings: Settings, application: str) -> None:
    """Raise SettingsError if the database is behind a pooler, and an application does not work through one."""
    if settings.database_pooled and application not in WORKS_FOR:
        raise SettingsError(
            "TELEMETRY_DATABASE_POOLED is set, and only the API works through a pooler of transactions: unset it here, and let "
            "TELEMETRY_DATABASE_URL lead to Postgres itself"
        )


def install(engine: Engine) -> None:
    """Let an engine refuse a session without the limits that we rely on. Raises psycopg.OperationalError with the mend."""

    @event.listens_for(engine, "connect")
    def look(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            role, *values = cursor.execute(LOOK).fetchone()
        connection.rollback()
        if lacking := missing(dict(zip((*LIMITS, *FIXED), values, strict=True))):
            changes = "; ".join(f'ALTER ROLE "{role}" SET {change}' for change in lacking)
            raise psycopg.OperationalError(f"behind a pooler the limits of a session come from its role: {changes}")


def missing(session: dict[str, str]) -> list[str]:
    """What a role lacks by the settings of one of its sessions, as one would set it. Pure."""
    defaults = {"lock_timeout": "10s", "statement_timeout": "40s", "idle_in_transaction_session_timeout": "30s"}
    lacking = [f"{name} = '{defaults[name]}'" for name in LIMITS if session[name] == "0"]
    return lacking + [f"{name} = '{allowed[0]}'" for name, allowed in FIXED.items() if session[name] not in allowed]
