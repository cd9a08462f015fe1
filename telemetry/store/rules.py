"""The rules by which labels make a series: which are no part of it, and from which time on that holds.

Which rule counts for a reading follows from the reading's own time, however late it is read: so a reading has one series for
ever, and a file that is read again is stored once, whatever was set meanwhile. The rules are those of the database; what a
process is set to must be the latest of them. Why: docs/decisions/0008-identity-outlives-settings.md. `telemetry.verify` reads
them with SQL of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import Connection, text

from telemetry.readings.arrays import Int64s
from telemetry.readings.tellers import TOLD_BY
from telemetry.settings import Settings
from telemetry.store import locks

ALWAYS_US = int(np.iinfo(np.int64).min)
COMMAND = "telemetry db rules change"

FIRST = text("SELECT pg_advisory_xact_lock(:key)")
LOAD = text("""
    SELECT number, since, (extract(epoch FROM since) * 1000000)::bigint AS since_us, volatile, owner
    FROM label_rules ORDER BY since NULLS FIRST
""")
# Whoever stores a batch reads the table in that transaction (`write.ledger`), so this waits for all of them.
LOCK = text("LOCK TABLE label_rules IN ACCESS EXCLUSIVE MODE")
ADD = text("INSERT INTO label_rules (since, volatile, owner) VALUES (:since, :volatile, :owner)")
HAS_SERIES = text("SELECT EXISTS (SELECT FROM series)")
# A whole second after everything that is stored.
NEXT = text("""
    SELECT date_trunc('second', greatest(clock_timestamp(), max(ts), (SELECT max(since) FROM label_rules))) + interval '1 s'
    FROM samples WHERE ts > now()
""")


class OtherRulesError(Exception):
    """The settings are not the rules of the database; the text is one line that names the mend."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Labels that are no part of a series: `volatile` ones, and those that name an `owner`. From `since` on, None for ever."""

    volatile: frozenset[str]
    owner: frozenset[str]
    number: int = 0
    since: datetime | None = None
    since_us: int = ALWAYS_US

    @classmethod
    def of(cls, settings: Settings) -> Rule:
        """What a process is set to."""
        return cls(frozenset(settings.volatile_labels), frozenset(settings.owner_labels))

    @property
    def passing(self) -> frozenset[str]:
        """Both kinds, and who tells of an owner."""
        return self.volatile | self.owner | {TOLD_BY}

    def differences(self, other: Rule) -> list[str]:
        """What is set otherwise in another one, a sentence each."""
        pairs = (
            ("TELEMETRY_VOLATILE_LABELS", self.volatile, other.volatile),
            ("TELEMETRY_OWNER_LABELS", self.owner, other.owner),
        )
        return [f"{name} {_difference(ours, theirs)}" for name, ours, theirs in pairs if ours != theirs]


def known(connection: Connection) -> list[Rule]:
    """The rules, the earliest first; none if no collector has written one down."""
    return [
        Rule(frozenset(volatile), frozenset(owner), number, since, ALWAYS_US if since is None else since_us)
        for number, since, since_us, volatile, owner in connection.execute(LOAD)
    ]


def load(connection: Connection, settings: Rule) -> list[Rule]:
    """The rules, the earliest first; if there is none, the settings are written down as what always held."""
    if not (rules := known(connection)):
        connection.execute(FIRST, {"key": locks.RULES})
        if not (rules := known(connection)):
            _add(connection, settings, None)
            rules = known(connection)
    return rules


def check(connection: Connection, settings: Rule) -> None:
    """Raises OtherRulesError if the settings are not the rule that holds now."""
    latest = load(connection, settings)[-1]
    if differences := settings.differences(latest):
        raise OtherRulesError(
            f"{'; '.join(differences)}: set it back, or run {COMMAND} with these settings, so that readings keep their series"
        )


def change(connection: Connection, settings: Rule) -> Rule | None:
    """Let another rule hold for all readings later than those that are stored. None if it is the one that holds.

    No batch is stored meanwhile; the collectors go on by the new rule, whatever they are set to. Raises OtherRulesError where
    it is not known what held until now.
    """
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(LOCK)
    there = known(connection)
    if not there and connection.scalar(HAS_SERIES):
        raise OtherRulesError("it is not known by which labels series were made until now: start a collector set to them")
    latest = (there or load(connection, settings))[-1]
    if not settings.differences(latest):
        return None
    _add(connection, settings, connection.scalar(NEXT))
    return known(connection)[-1]


def places(rules: Sequence[Rule], ts_us: Int64s) -> Int64s:
    """The place, among the rules, of the one that holds at each time."""
    return np.searchsorted(np.array([rule.since_us for rule in rules], np.int64), ts_us, "right").astype(np.int64) - 1


def _add(connection: Connection, rule: Rule, since: datetime | None) -> None:
    connection.execute(ADD, {"since": since, "volatile": sorted(rule.volatile), "owner": sorted(rule.owner)})


def _difference(ours: frozenset[str], theirs: frozenset[str]) -> str:
    more, less = ", ".join(sorted(ours - theirs)), ", ".join(sorted(theirs - ours))
    parts = (f"names {more}, the database does not" if more else "", f"lacks {less}, which the database has" if less else "")
    return " and ".join(filter(None, parts))
