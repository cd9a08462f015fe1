"""What the database lets this role do: credentials, version, schema, rights, round trip, clock, and whether commits last."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import wraps
from typing import NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from telemetry.doctor import clocks
from telemetry.doctor.finding import Judgement, failed, ok, warning
from telemetry.settings import Settings
from telemetry.store import durability, lock_table, migrate
from telemetry.store.engine import make_engine
from telemetry.store.models import Base

# ON CONFLICT, date_bin and partitions by time work from here on.
MIN_VERSION = 14
SLOW_MS = 50.0
QUESTIONS = 5
NEEDED = {"central": ("SELECT", "INSERT", "UPDATE", "DELETE"), "api": ("SELECT",)}
RIGHTS = text("""
    SELECT coalesce(current_setting('transaction_read_only'), 'off') = 'on' AS read_only,
           has_schema_privilege(current_schema(), 'CREATE') AS creates,
           coalesce((SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass('samples')), false) AS owns,
           ARRAY(SELECT p || ' on ' || t FROM unnest(CAST(:tables AS text[])) AS t, unnest(CAST(:privileges AS text[])) AS p
                 WHERE to_regclass(t) IS NOT NULL AND NOT has_table_privilege(t, p)) AS lacking
""")
# SQLSTATEs of Postgres, and what a person does about them.
MENDS = {
    "28P01": "set TELEMETRY_DATABASE_PASSWORD_FILE, and the role in TELEMETRY_DATABASE_URL, as the database has them",
    "28000": "let pg_hba.conf admit this role from here, with TLS if it asks for it",
    "3D000": "create the database, or correct its name in TELEMETRY_DATABASE_URL",
    "53300": "raise max_connections, or let fewer processes connect",
    "57P03": "wait until it has started",
    "08P01": "let TELEMETRY_DATABASE_URL lead to Postgres itself; the API alone works through a pooler of transactions, with "
    "TELEMETRY_DATABASE_POOLED=true",
}
# psycopg has no SQLSTATE for errors before a session begins; libpq's texts say the same.
TEXTS = {
    "password authentication failed": "28P01",
    "no password supplied": "28P01",
    "no pg_hba.conf entry": "28000",
    "does not exist": "3D000",
    "too many clients": "53300",
    "starting up": "57P03",
    "unsupported startup parameter": "08P01",
}


class Rights(NamedTuple):
    """What this role of the database may do."""

    read_only: bool
    creates: bool
    owns: bool
    lacking: list[str]


def _explained(ask: Callable[[Database], Judgement]) -> Callable[[Database], Judgement]:
    """Turn errors of Postgres into findings."""

    @wraps(ask)
    def asked(self: Database) -> Judgement:
        try:
            return ask(self)
        except DBAPIError as error:
            return fault(str(error.orig).strip(), getattr(error.orig, "sqlstate", None))

    return asked


class Database:
    """The database, asked through one connection that `credentials` opens."""

    def __init__(self, settings: Settings, role: str) -> None:
        self._engine, self._role = make_engine(settings, application="doctor"), role
        self._session: Connection | None = None

    def _connection(self) -> Connection:
        self._session = self._session or self._engine.connect()
        return self._session

    @_explained
    def credentials(self) -> Judgement:
        """Whether role and password are taken, and the version."""
        version, number = (
            self._connection()
            .execute(text("SELECT current_setting('server_version'), current_setting('server_version_num')::int"))
            .one()
        )
        if number // 10_000 < MIN_VERSION:
            return failed(f"it is Postgres {version}", f"use Postgres {MIN_VERSION} or later")
        return ok(f"role and password are taken; it is Postgres {version}")

    @_explained
    def schema(self) -> Judgement:
        """Whether its schema is the one that this version needs, or a later one."""
        return judge_schema(migrate.current(self._engine), migrate.head())

    @_explained
    def rights(self) -> Judgement:
        """What the role may do."""
        parameters = {"tables": list(Base.metadata.tables), "privileges": list(NEEDED[self._role])}
        return judge_rights(Rights(*self._connection().execute(RIGHTS, parameters).one()), self._role)

    @_explained
    def round_trip(self) -> Judgement:
        """How long a question takes."""
        took_ms = []
        for _ in range(QUESTIONS):
            begin = time.monotonic()
            self._connection().execute(text("SELECT 1"))
            took_ms.append((time.monotonic() - begin) * 1000)
        return judge_round_trip(statistics.median(took_ms))

    @_explained
    def clock(self) -> Judgement:
        """How far the clocks are apart."""
        now = text("SELECT extract(epoch FROM clock_timestamp())")
        return clocks.ask(lambda: float(self._connection().execute(now).scalar_one()))

    @_explained
    def durability(self) -> Judgement:
        """Whether what is committed outlives a crash."""
        advice = durability.look(self._connection()).advice
        return warning(advice, "set it to on, and start Postgres again") if advice else ok("what is committed outlives a crash")

    @_explained
    def locks(self) -> Judgement:
        """Whether it has locks enough for the partitions."""
        advice = lock_table.look(self._connection()).advice
        return (
            warning(advice, "the sentence before says what to set") if advice else ok("it has locks enough for the partitions")
        )


def judge_schema(present: str | None, needed: str) -> Judgement:
    """The revision of the schema."""
    if migrate.serves(present):
        later = "" if present == needed else f", which a later version made; this one needs {needed}"
        return ok(f"its schema is {present}{later}")
    return failed(f"its schema is {present or 'empty'}, this version needs {needed}", "run `telemetry db upgrade`")


def judge_rights(rights: Rights, role: str) -> Judgement:
    """What a lack of rights means."""
    if rights.read_only:
        return failed("it takes no writes: it is a replica, or read-only", "let TELEMETRY_DATABASE_URL lead to the primary")
    if rights.lacking:
        return failed(
            f"the role lacks {len(rights.lacking)} rights, such as {rights.lacking[0]}",
            "grant them, or let the role that ran `telemetry db upgrade` connect",
        )
    if role == "central" and not (rights.creates and rights.owns):
        return failed(
            "the role cannot make partitions: it " + ("does not own samples" if rights.creates else "may not create tables"),
            "let the role that ran `telemetry db upgrade` connect, or make this one a member of it",
        )
    return ok("the role may do what this version does")


def judge_round_trip(median_ms: float) -> Judgement:
    """Whether a question takes too long."""
    if median_ms <= SLOW_MS:
        return ok(f"{median_ms:.1f} ms")
    return warning(f"{median_ms:.0f} ms, more than {SLOW_MS:g} ms", "let collectors and API run beside the database")


def fault(said: str, sqlstate: str | None, variable: str = "TELEMETRY_DATABASE_URL") -> Judgement:
    """What an error of the database of a variable means."""
    state = sqlstate or next((state for words, state in TEXTS.items() if words in said), "")
    first = next((line for line in said.splitlines() if "failed" in line or "FATAL" in line), said.splitlines()[0])
    mend = MENDS.get(state, f"see its log, and whether {variable} leads to it").replace("TELEMETRY_DATABASE_URL", variable)
    return failed(f"it refuses: {first}", mend)
