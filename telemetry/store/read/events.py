"""What happened to GPUs, as a list: findings that begin and end, states that change, owners that come and go.

Each event has a name that is the same whenever it is asked for. An XID is a gauge of the last error: the same XID again, and
one that another followed before it was read, is no event.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from sqlalchemy import BigInteger, Double, Integer, Select, Text, cast, column, desc, exists, select, text
from sqlalchemy.dialects.postgresql import JSONB

from telemetry.health.rules import Kind, Rules
from telemetry.store.models import Owner, Time
from telemetry.store.owner_at import OWNER_AT
from telemetry.store.read.filters import among, equal
from telemetry.store.read.health import wordings

EventKind = Literal[Kind, "health", "allocation"]
What = Literal["begins", "ends", "changes"]
EVENT_KINDS: tuple[str, ...] = (*get_args(Kind), "health", "allocation")
# A pause between readings that is no end of an allocation.
BRIDGE = timedelta(minutes=10)

EVENTS = """
    WITH asked AS (
        SELECT CAST(:start AS timestamptz) AS low, least(CAST(:end AS timestamptz), now()) AS high,
               CAST(:gpu_id AS bigint) AS gpu
    ), found AS (
        SELECT f.id || 'b' AS id, f.gpu_id, f.begun_at AS at, f.kind, f.rule, 'begins' AS what, f.severity, f.value
        FROM findings f, asked
        WHERE f.begun_at BETWEEN low AND high AND f.fired_at <= now() AND f.gpu_id = coalesce(gpu, f.gpu_id)
        UNION ALL
        SELECT f.id || 'e', f.gpu_id, f.ended_at, f.kind, f.rule, 'ends', f.severity, f.value
        FROM findings f, asked WHERE f.ended_at BETWEEN low AND high AND f.gpu_id = coalesce(gpu, f.gpu_id)
    ), turned AS (
        SELECT DISTINCT t.gpu_id, t.at FROM found t WHERE t.severity > 1
    ), changed AS (
        SELECT t.gpu_id, t.at, ranks.before, ranks.after
        FROM turned t CROSS JOIN LATERAL (
            SELECT coalesce(max(rank) FILTER (WHERE f.begun_at < t.at), 1) AS before,
                   coalesce(max(rank) FILTER (WHERE f.ended_at IS NULL OR f.ended_at > t.at), 1) AS after
            FROM (
                SELECT begun_at, ended_at, CASE WHEN rule = 'silent' THEN 3 WHEN severity = 3 THEN 4 ELSE 2 END AS rank
                FROM findings WHERE gpu_id = t.gpu_id AND severity > 1 AND fired_at <= now()
                    AND begun_at <= t.at AND (ended_at IS NULL OR ended_at >= t.at)
            ) f
        ) ranks
    ), spans AS (
        SELECT a.gpu_id, a.instance, a.owner_id, unnest(a.held) AS span
        FROM allocations a, asked
        WHERE :allocations AND a.gpu_id = coalesce(gpu, a.gpu_id)
            AND a.day BETWEEN (low AT TIME ZONE 'UTC')::date - 1 AND (high AT TIME ZONE 'UTC')::date
    ), edges AS (
        SELECT *, lower(span) - lag(upper(span)) OVER w AS pause, lead(lower(span)) OVER w - upper(span) AS next_pause
        FROM spans WINDOW w AS (PARTITION BY gpu_id, instance, owner_id ORDER BY span)
    ), owned AS (
        SELECT 'b' AS edge, gpu_id, instance, owner_id, lower(span) AS at, 'begins' AS what FROM edges
        WHERE pause IS NULL OR pause > :bridge
        UNION ALL
        SELECT 'e', gpu_id, instance, owner_id, upper(span), 'ends' FROM edges
        WHERE (next_pause IS NULL OR next_pause > :bridge) AND upper(span) < now() - CAST(:bridge AS interval)
    ), events AS (
        SELECT 'f' || id AS id, gpu_id, at, kind, rule, what, coalesce(CAST(:told AS jsonb) -> rule ->> 'says', rule) AS says,
               value, coalesce(CAST(:told AS jsonb) -> rule ->> 'action', '') AS action, CAST(NULL AS jsonb) AS labels
        FROM found
        UNION ALL
        SELECT 's' || gpu_id || '-' || extract(epoch FROM at), gpu_id, at, 'health', NULL, 'changes',
               (CAST(:ranks AS text[]))[before] || ' → ' || (CAST(:ranks AS text[]))[after], NULL, '', NULL
        FROM changed WHERE before <> after
        UNION ALL
        SELECT 'a' || gpu_id || '-' || instance || '-' || owner_id || edge || extract(epoch FROM at), gpu_id, at, 'allocation',
               NULL, what,
               coalesce(o.namespace || '/' || o.pod, 'job ' || o.job, o.namespace, o.user, o.account, o.labels::text)
               || CASE WHEN instance = '' THEN '' ELSE ' on instance ' || instance END, NULL, '', o.labels
        FROM owned JOIN owners o ON o.id = owner_id, asked
        WHERE o.labels <> '{}' AND at BETWEEN low AND high
    )
    SELECT e.id, e.at, e.kind, e.what, e.says, e.rule, e.value, e.action, e.gpu_id, g.identity AS gpu, g.host,
           g.gpu_index AS index, g.model, coalesce(e.labels, :owner_at:)::text AS owner
    FROM events e JOIN gpus g ON g.id = e.gpu_id
""".replace(":owner_at:", OWNER_AT.format(gpu_id="e.gpu_id", at="e.at"))
RANKS = ("well", "degraded", "silent", "faulty")


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Some events of a span. A field that is None, no kind or no namespace, leaves all of them in.

    With `namespaces`, those are left whose owner is of one of them.
    """

    start: datetime
    end: datetime
    gpu_id: int | None = None
    host: str | None = None
    kinds: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()


def events(rules: Rules, some: EventFilter, after: tuple[datetime, str] | None = None) -> Select[Any]:
    """Events, the latest first, after a place (time, name). `owner` is the text of the labels of who had the GPU then."""
    given = {
        "start": some.start,
        "end": some.end,
        "gpu_id": some.gpu_id,
        "bridge": BRIDGE,
        "told": wordings(rules),
        "ranks": list(RANKS),
        "allocations": not some.kinds or "allocation" in some.kinds,
    }
    types: dict[str, Any] = {"at": Time, "index": Integer, "value": Double, "gpu_id": BigInteger}
    names = ("id", "at", "kind", "what", "says", "rule", "value", "action", "gpu_id", "gpu", "host", "index", "model", "owner")
    rows = text(EVENTS).bindparams(**given).columns(*(column(name, types.get(name, Text)) for name in names)).subquery()
    row = rows.c
    conditions = [*equal((row.host, some.host)), *among(row.kind, some.kinds)]
    if some.namespaces:
        owner = exists().where(Owner.labels == cast(row.owner, JSONB), Owner.namespace.in_(some.namespaces))
        conditions.append(owner.correlate_except(Owner))
    if after:
        at, name = after
        conditions.append((row.at < at) | ((row.at == at) & (row.id > name)))
    told_of = [each for each in row if each.name != "gpu_id"]
    return select(*told_of).where(*conditions).order_by(desc(row.at), row.id)
