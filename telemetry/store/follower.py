"""A replica to read from, as long as it follows the primary closely enough.

Two threads ask each second: one the primary how much it has written (its LSN), the other the replica how much of that it has.
The replica lags by the age of the oldest position of the primary that it has not reached. So no clock of a server matters, an
idle primary makes nobody lag, and while the primary is away the replica, which has all that is known of it, goes on serving.

Who reads asks `engine`, which never waits: a replica that lags, is away or is silent is not used. Who finds it away before the
next look says so by `leave`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Event, Lock, Thread
from time import monotonic
from typing import NamedTuple

from sqlalchemy import Engine, text

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
# A replica that has not answered for so long is silent.
SILENT_S = 3.0
# The difference of two positions is a number of bytes: https://www.postgresql.org/docs/current/datatype-pg-lsn.html
LOOK = text("""
    SELECT (SELECT system_identifier FROM pg_control_system()) AS cluster,
           CASE WHEN pg_is_in_recovery() THEN '' ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END AS timeline,
           CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - '0/0' AS position
""")


class Server(NamedTuple):
    """What a server says: its cluster, its timeline (none while it follows another), and the bytes that it has."""

    cluster: int
    timeline: str
    position: int


class Sample(NamedTuple):
    """What the primary had at an instant of the monotonic clock."""

    at_s: float
    primary: Server


def lag_s(samples: Sequence[Sample], replica: Server, now_s: float) -> float:
    """By how many seconds a replica lags; infinity if it is not known, or follows something else. Pure."""
    if not samples:
        return float("inf")
    primary = samples[-1].primary
    if replica.cluster != primary.cluster or replica.timeline not in {"", primary.timeline}:
        return float("inf")
    if replica.position >= primary.position:
        return 0.0
    return now_s - max(
        (sample.at_s for sample in samples if sample.primary.position <= replica.position), default=float("-inf")
    )


class Follower:
    """A replica and its primary. The two engines of `asking` are for this class alone: `replica` is what is read from."""

    def __init__(self, primary: Engine, replica: Engine, asking: tuple[Engine, Engine], max_lag_s: float) -> None:
        self._primary, self._replica, self._asking, self._max_lag_s = primary, replica, asking, max_lag_s
        self._samples: list[Sample] = []
        self._lock, self._stopping = Lock(), Event()
        self._answered_s = float("-inf")
        self._is_close = self._has_told = False
        self._lag_s = float("inf")
        self._threads = [Thread(target=self._every, args=[look], daemon=True) for look in (self._look_at_primary, self._look)]
        for thread in self._threads:
            thread.start()

    @property
    def engine(self) -> Engine:
        """The one to read from now."""
        return self._replica if self.is_read else self._primary

    @property
    def is_read(self) -> bool:
        """Whether that is the replica."""
        return self._is_close and not self.is_silent()

    @property
    def lag_s(self) -> float:
        """By how many seconds the replica lagged when it was asked last; infinity if it is away, or follows something else."""
        return float("inf") if self.is_silent() else self._lag_s

    def leave(self) -> None:
        """Read from the primary until the replica has answered again: a query found it away."""
        self._tell(float("inf"))

    def is_silent(self) -> bool:
        """Whether the replica has not answered lately."""
        return monotonic() - self._answered_s > SILENT_S

    def close(self) -> None:
        """Ask no more."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(SILENT_S)
        for engine in (self._replica, *self._asking):
            engine.dispose()

    def _every(self, look: Callable[[], None]) -> None:
        while True:
            try:
                look()
            except Exception as error:  # noqa: BLE001 - who asks no more has reads go to a replica that nobody watches
                log.debug("a database did not say how far it is: %s", error)
            if self._stopping.wait(LOOK_EVERY_S):
                return

    def _look_at_primary(self) -> None:
        at_s = monotonic()
        sample = Sample(at_s, ask(self._asking[0]))
        with self._lock:
            is_same = bool(self._samples) and self._samples[-1].primary.timeline == sample.primary.timeline
            kept = [old for old in self._samples if at_s - old.at_s <= self._max_lag_s + SILENT_S] if is_same else []
            self._samples = [*kept, sample]

    def _look(self) -> None:
        try:
            replica = ask(self._asking[1])
        except Exception:
            self._tell(float("inf"))
            raise
        now_s = monotonic()
        with self._lock:
            lag = lag_s(self._samples, replica, now_s)
        self._answered_s = now_s
        self._tell(lag)

    def _tell(self, lag: float) -> None:
        self._lag_s, is_close = lag, lag <= self._max_lag_s
        if is_close != self._is_close or not self._has_told:
            self._has_told = True
            log.warning(
                "reads go to the %s", f"replica, which lags {lag:.1f} s" if is_close else "primary: the replica lags or is away"
            )
        self._is_close = is_close


def ask(engine: Engine) -> Server:
    """What a server says of itself. Raises SQLAlchemyError."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        cluster, timeline, position = connection.execute(LOOK).one()
    return Server(int(cluster), timeline, int(position))
