"""The findings that are stored: read as stretches, and changed to what was found now. Marks, and the last judgement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from telemetry.health.rules import SEVERITIES, Severity
from telemetry.health.stretches import Stretch
from telemetry.store.upkeep.looks import Span, moment, us

# A GPU, a series of it (0: the whole), and a rule.
Subject = tuple[int, int, str]

KNOWN = text("""
    SELECT gpu_id, series_id, rule, begun_at, ended_at, value FROM findings
    WHERE gpu_id = ANY(CAST(:gpu_ids AS bigint[])) AND (ended_at IS NULL OR ended_at >= :since)
    ORDER BY begun_at
""")
REMOVE = text("""
    DELETE FROM findings f
    USING unnest(
              CAST(:gpu_id AS bigint[]), CAST(:series_id AS bigint[]), CAST(:rule AS text[]), CAST(:begun_at AS timestamptz[]))
          AS k (gpu_id, series_id, rule, begun_at)
    WHERE (f.gpu_id, f.series_id, f.rule, f.begun_at) = (k.gpu_id, k.series_id, k.rule, k.begun_at)
    RETURNING f.gpu_id, f.series_id, f.rule, f.told_at
""")
PUT = text("""
    INSERT INTO findings AS f (gpu_id, series_id, rule, kind, severity, begun_at, fired_at, ended_at, value, told_at)
    SELECT * FROM unnest(
        CAST(:gpu_id AS bigint[]), CAST(:series_id AS bigint[]), CAST(:rule AS text[]), CAST(:kind AS text[]),
        CAST(:severity AS smallint[]), CAST(:begun_at AS timestamptz[]), CAST(:fired_at AS timestamptz[]),
        CAST(:ended_at AS timestamptz[]), CAST(:value AS double precision[]), CAST(:told_at AS timestamptz[]))
    ON CONFLICT (gpu_id, series_id, rule, begun_at) DO UPDATE
    SET kind = EXCLUDED.kind, severity = EXCLUDED.severity, fired_at = EXCLUDED.fired_at, ended_at = EXCLUDED.ended_at,
        value = EXCLUDED.value
    WHERE (f.kind, f.severity, f.fired_at, f.ended_at, f.value)
        IS DISTINCT FROM (EXCLUDED.kind, EXCLUDED.severity, EXCLUDED.fired_at, EXCLUDED.ended_at, EXCLUDED.value)
""")
# A collector may know a GPU by its number of before it was joined to another.
TAKE = text("""
    WITH taken AS (
        DELETE FROM unjudged WHERE id IN (SELECT id FROM unjudged ORDER BY id LIMIT :limit)
        RETURNING gpu_ids, since, until
    )
    SELECT ARRAY(SELECT DISTINCT coalesce(j.joined_id, g.id)
                 FROM unnest(gpu_ids) AS g (id) LEFT JOIN gpu_joins j ON j.gpu_id = g.id) AS gpu_ids, since, until
    FROM taken
""")
JUDGED = text("SELECT judged_at, rules FROM judgements")
SET_JUDGED = text("""
    INSERT INTO judgements (id, judged_at, rules) VALUES (1, :at, :rules)
    ON CONFLICT (id) DO UPDATE SET judged_at = EXCLUDED.judged_at, rules = EXCLUDED.rules
""")
FORGET_RULES = text(
    "DELETE FROM findings WHERE NOT rule = ANY(CAST(:rules AS text[])) AND (ended_at IS NULL OR ended_at > :since)"
)


@dataclass(frozen=True, slots=True)
class Fired:
    """A stretch that fired: when, and of which kind and severity its rule is."""

    stretch: Stretch
    fired_us: int
    kind: str
    severity: Severity


def known(connection: Connection, gpu_ids: Collection[int], since: datetime) -> dict[Subject, list[Stretch]]:
    """The stretches of some GPUs that reach beyond a time, in order of time."""
    by_subject: dict[Subject, list[Stretch]] = defaultdict(list)
    for row in connection.execute(KNOWN, {"gpu_ids": list(gpu_ids), "since": since}):
        begun_us, ended_us = us(row.begun_at), None if row.ended_at is None else us(row.ended_at)
        stretch = Stretch(begun_us, ended_us, begun_us, row.value)
        by_subject[row.gpu_id, row.series_id, row.rule].append(stretch)
    return by_subject


def put(connection: Connection, before: Mapping[Subject, Sequence[Stretch]], after: Mapping[Subject, Sequence[Fired]]) -> None:
    """Change the findings of subjects from what is known to what was found."""
    gone = [
        (subject, stretch.begun_us)
        for subject, firings in after.items()
        for stretch in before.get(subject, ())
        if stretch.begun_us not in {each.stretch.begun_us for each in firings}
    ]
    told_at: dict[Subject, datetime] = {}
    if gone:
        columns = {
            "gpu_id": [gpu_id for (gpu_id, _, _), _ in gone],
            "series_id": [series_id for (_, series_id, _), _ in gone],
            "rule": [rule for (_, _, rule), _ in gone],
            "begun_at": [moment(begun_us) for _, begun_us in gone],
        }
        # Whoever was told of a stretch whose begin is another one now was told of this one.
        for row in connection.execute(REMOVE, columns).all():
            if row.told_at:
                told_at[row.gpu_id, row.series_id, row.rule] = row.told_at
    # All of them: a rule that was changed may give the same stretch another severity. Rows that are alike stay as they are.
    changed = [(subject, each) for subject, firings in after.items() for each in firings]
    if changed:
        connection.execute(
            PUT,
            {
                "gpu_id": [gpu_id for (gpu_id, _, _), _ in changed],
                "series_id": [series_id for (_, series_id, _), _ in changed],
                "rule": [rule for (_, _, rule), _ in changed],
                "kind": [each.kind for _, each in changed],
                "severity": [1 + SEVERITIES.index(each.severity) for _, each in changed],
                "begun_at": [moment(each.stretch.begun_us) for _, each in changed],
                "fired_at": [moment(each.fired_us) for _, each in changed],
                "ended_at": [None if each.stretch.ended_us is None else moment(each.stretch.ended_us) for _, each in changed],
                "value": [each.stretch.value for _, each in changed],
                "told_at": [told_at.get(subject) for subject, _ in changed],
            },
        )


def take(connection: Connection, limit: int) -> list[Span]:
    """Take marks, at most so many, as spans of GPUs."""
    rows = connection.execute(TAKE, {"limit": limit}).all()
    return [Span(gpu_id, row.since, row.until) for row in rows for gpu_id in row.gpu_ids]


def judged(connection: Connection) -> tuple[datetime | None, str]:
    """Up to when readings were judged, and by which rules."""
    row = connection.execute(JUDGED).first()
    return (row.judged_at, row.rules) if row else (None, "")


def set_judged(connection: Connection, at: datetime, rules: str) -> None:
    """Note up to when readings were judged."""
    connection.execute(SET_JUDGED, {"at": at, "rules": rules})


def forget_rules(connection: Connection, rules: Collection[str], since: datetime) -> None:
    """Remove what was found by rules that are no more, as far as it reaches beyond a time."""
    connection.execute(FORGET_RULES, {"rules": list(rules), "since": since})
