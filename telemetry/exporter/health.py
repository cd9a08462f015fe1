"""Judges the health of GPUs while the exporter runs, shows how many are in which state, and tells people.

Collectors judge too, after what they store; but where nothing comes, nobody else would notice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prometheus_client.metrics_core import Metric
from sqlalchemy import Connection, Engine

from telemetry.exporter.families import keyed, single
from telemetry.health.rules import SEVERITIES
from telemetry.notify.addresses import addresses
from telemetry.notify.messages import Notice
from telemetry.notify.telling import Telling
from telemetry.settings import Settings
from telemetry.store import notices
from telemetry.store.read import health
from telemetry.store.upkeep import chores

# Looks at what came at once; after a long time more are needed.
MOST_PASSES = 20


def look(engine: Engine, settings: Settings) -> Sequence[Metric]:
    """Judge what came, and count the GPUs by state. Raises SQLAlchemyError."""
    for _ in range(MOST_PASSES):
        if not chores.run(engine, settings, chores.JUDGING, chores.JUDGING.max_rows):
            break
    with engine.connect() as connection:
        counts: dict[str, int] = {row.state: row.gpus for row in connection.execute(health.counted(settings.health_rules))}
    by_state: dict[str, float] = {state: counts.get(state, 0) for state in health.STATES}
    return [keyed("telemetry_gpus", "GPUs by state of health.", "state", by_state)]


class Teller:
    """Tells people, in one process at a time. Raises AddressError for an address that cannot be used."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._severity = settings.notify_severity
        self._telling = Telling(
            settings.health_rules, addresses(settings.notify), settings.notify_quiet_s, self._waiting, self._note
        )
        self._session: Connection | None = None
        self._known = 0

    def __call__(self) -> Sequence[Metric]:
        """Tell what waits, if it is time. Raises SQLAlchemyError."""
        if self._session is None:
            self._session = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            if notices.is_ours(self._session):
                self._telling.step()
        except Exception:
            self.close()
            raise
        return [single("telemetry_notices_waiting", "Findings that people were not told of at the last try.", self._known)]

    def close(self) -> None:
        """Let another process tell. The session ends, as its lock would stay with a connection that is only given back."""
        if self._session is not None:
            self._session.invalidate()
            self._session.close()
            self._session = None

    def _waiting(self) -> list[Notice]:
        with self._engine.connect() as connection:
            rows = notices.waiting(connection, self._severity)
        self._known = len(rows)
        return [_notice(row._mapping) for row in rows]  # noqa: SLF001 - a public name of SQLAlchemy

    def _note(self, entries: Sequence[Notice]) -> None:
        with self._engine.begin() as connection:
            notices.note(connection, [each.id for each in entries], [each.id for each in entries if each.ended_at is not None])
        self._known = 0


def _notice(row: Any) -> Notice:
    return Notice(**{**row, "severity": SEVERITIES[row["severity"] - 1]})
