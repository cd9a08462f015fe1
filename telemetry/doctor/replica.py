"""What the replica says that API, page and exporter read from: whether it follows the primary, and how closely."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps

from sqlalchemy.exc import DBAPIError

from telemetry.doctor import database
from telemetry.doctor.finding import Judgement, ok, warning
from telemetry.settings import Settings
from telemetry.store.engine import make_engine
from telemetry.store.follower import Server, ask

VARIABLE = "TELEMETRY_DATABASE_READ_URL"
# It is waited for so long, and asked again so often, until it has what the primary had.
PATIENCE_S, ASK_EVERY_S = 2.0, 0.02


def _explained(question: Callable[[Replica], Judgement]) -> Callable[[Replica], Judgement]:
    """Turn errors of Postgres into findings."""

    @wraps(question)
    def asked(self: Replica) -> Judgement:
        try:
            return question(self)
        except DBAPIError as error:
            return database.fault(str(error.orig).strip(), getattr(error.orig, "sqlstate", None), VARIABLE)
        finally:
            self.close()

    return asked


class Replica:
    """The replica, and the primary that it should follow."""

    def __init__(self, settings: Settings) -> None:
        self._primary = make_engine(settings, application="doctor")
        self._replica = make_engine(settings, application="doctor", url=settings.database_read_url)
        self._max_lag_s = settings.database_read_lag_s

    def close(self) -> None:
        """Close what was opened."""
        self._primary.dispose()
        self._replica.dispose()

    @_explained
    def standby(self) -> Judgement:
        """Whether it takes our credentials, and follows the primary."""
        return judge_standby(ask(self._primary), ask(self._replica))

    @_explained
    def lag(self) -> Judgement:
        """How long it takes until it has what the primary has now."""
        position, begun_s = ask(self._primary).position, time.monotonic()
        while ask(self._replica).position < position:
            if time.monotonic() - begun_s > PATIENCE_S:
                return judge_lag(None, self._max_lag_s)
            time.sleep(ASK_EVERY_S)
        return judge_lag(time.monotonic() - begun_s, self._max_lag_s)


def judge_standby(primary: Server, replica: Server) -> Judgement:
    """Whether one server follows the other."""
    mend = f"let {VARIABLE} lead to a standby of the primary, or unset it; reads go to the primary until then"
    if replica.cluster != primary.cluster:
        return warning("it belongs to another cluster of Postgres than the primary", mend)
    if replica.timeline:
        return warning("it is no standby: it takes writes itself" if primary.timeline else "neither server takes writes", mend)
    return ok("it is a standby of the primary")


def judge_lag(lag_s: float | None, max_lag_s: float) -> Judgement:
    """Whether it follows closely enough: None says that it did not catch up within PATIENCE_S."""
    if lag_s is not None:
        return ok(f"it had what the primary has within {lag_s * 1000:.0f} ms")
    return warning(
        f"after {PATIENCE_S:g} s it did not have what the primary had; reads leave it beyond {max_lag_s:g} s",
        "see pg_stat_replication at the primary, and whether a long query at the replica holds its replay up",
    )
