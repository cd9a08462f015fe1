"""How GPUs and hosts are now: a state, since when, for which reasons, and what to do. Judged by the findings that go on.

Silence is looked up here and not among the findings: nothing comes of a GPU that is silent, so nothing would tell in time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import BigInteger, Boolean, Integer, Select, Text, and_, case, cast, column, func, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.sql.selectable import Subquery

from telemetry.health.rules import SEVERITIES, SILENT, STRAGGLER, Rules
from telemetry.store.models import Time
from telemetry.store.read.filters import among, equal
from telemetry.store.told import IS_READ, TELLING_METRICS

State = Literal["faulty", "silent", "degraded", "unknown", "well"]
# The gravest first.
STATES: tuple[State, ...] = ("faulty", "silent", "degraded", "unknown", "well")

SEEN = f"""
    SELECT g.id, g.identity, g.host, g.gpu_index, g.model, g.first_seen,
           coalesce(
               (SELECT least(now(), upper(a.held)) FROM allocations a WHERE a.gpu_id = g.id AND {IS_READ}
                ORDER BY a.day DESC, upper(a.held) DESC LIMIT 1),
               (SELECT max(x.ts) FROM series s CROSS JOIN LATERAL (
                    SELECT ts FROM samples_last(s.id, '-infinity', 'infinity', 1)) x
                WHERE s.gpu_id = g.id AND s.metric_id NOT IN ({TELLING_METRICS}))
           ) AS last_seen
    FROM gpus g WHERE NOT EXISTS (SELECT FROM gpu_joins j WHERE j.gpu_id = g.id)
"""  # noqa: S608 - a condition of ours
IS_SILENT = "coalesce(s.last_seen, s.first_seen) <= now() - make_interval(secs => :silent_after_s)"
# Of a GPU that is silent all that went on at its last reading goes on: nothing has said otherwise.
LASTING = f"""
    SELECT gpu_id, rule, kind, severity, begun_at, value FROM findings
    WHERE rule <> 'silent' AND fired_at <= now() AND (ended_at IS NULL OR ended_at > now())
    UNION ALL
    SELECT f.gpu_id, f.rule, f.kind, f.severity, f.begun_at, f.value FROM seen s JOIN findings f ON f.gpu_id = s.id
    WHERE {IS_SILENT} AND f.rule <> 'silent' AND f.ended_at > s.last_seen AND f.ended_at <= now()
"""  # noqa: S608 - constants
# A reason is told by the words that the rules have for it now.
REASONS = f"""
    SELECT gpu_id, max(severity) AS rank,
           min(begun_at) FILTER (WHERE severity = 3) AS faulty_since,
           min(begun_at) FILTER (WHERE severity = 2) AS degraded_since,
           jsonb_agg(jsonb_build_object(
               'rule', rule, 'kind', kind, 'severity', (CAST(:severities AS text[]))[severity],
               'says', coalesce(CAST(:told AS jsonb) -> rule ->> 'says', rule),
               'since', to_char(begun_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24\\:MI\\:SS"Z"'), 'value', value,
               'action', coalesce(CAST(:told AS jsonb) -> rule ->> 'action', ''),
               'heuristic', coalesce((CAST(:told AS jsonb) -> rule ->> 'heuristic')::boolean, false)
           ) ORDER BY severity DESC, begun_at, rule) AS reasons
    FROM (
        SELECT gpu_id, rule, kind, severity, min(begun_at) AS begun_at, max(value) AS value FROM ({LASTING}) l
        GROUP BY gpu_id, rule, kind, severity
    ) f
    GROUP BY gpu_id
"""  # noqa: S608 - constants
# A GPU is missed if others of its host report.
STANDING = f"""
    WITH seen AS ({SEEN})
    SELECT s.*, coalesce(r.rank, 0) AS rank, r.reasons, r.faulty_since, r.degraded_since,
           {IS_SILENT} AS silent,
           max(s.last_seen) OVER (PARTITION BY s.host) > now() - make_interval(secs => :silent_after_s) AND s.host IS NOT NULL
               AS host_reports,
           EXISTS (SELECT FROM series JOIN metrics m ON m.id = metric_id
                   WHERE gpu_id = s.id AND m.name = ANY(CAST(:metrics AS text[]))) AS judged
    FROM seen s LEFT JOIN ({REASONS}) r ON r.gpu_id = s.id
"""  # noqa: S608 - constants
GPUS = f"""
    SELECT id AS gpu_id, identity AS gpu, host, gpu_index AS index, model, last_seen, silent, host_reports,
           CASE WHEN rank = 3 THEN 'faulty' WHEN silent THEN 'silent' WHEN rank = 2 THEN 'degraded'
                WHEN NOT judged THEN 'unknown' ELSE 'well' END AS state,
           CASE WHEN rank = 3 THEN faulty_since WHEN silent THEN coalesce(last_seen, first_seen)
                WHEN rank = 2 THEN degraded_since
                ELSE greatest(first_seen, (SELECT max(f.ended_at) FROM findings f
                                           WHERE f.gpu_id = p.id AND f.severity > 1 AND f.ended_at <= now())) END AS since,
           coalesce(reasons, '[]') || CASE WHEN silent THEN jsonb_build_array(jsonb_build_object(
               'rule', 'silent', 'kind', 'silence', 'severity', 'degraded',
               'says', CASE WHEN host_reports THEN 'missing: its host reports, and it is silent' ELSE 'silent' END,
               'since', to_char(coalesce(last_seen, first_seen) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24\\:MI\\:SS"Z"'),
               'value', NULL, 'action', CAST(:told AS jsonb) -> 'silent' ->> 'action', 'heuristic', false
           )) ELSE '[]' END AS reasons
    FROM ({STANDING}) p
"""  # noqa: S608 - constants
HOSTS = f"""
    SELECT host, min(place) AS place, count(*) AS gpus, count(*) FILTER (WHERE silent) AS silent_gpus,
           count(*) FILTER (WHERE state IN ('faulty', 'degraded')) AS ill_gpus, max(last_seen) AS last_seen,
           bool_and(silent) AS silent, min(since) FILTER (WHERE state = worst) AS since,
           count(*) FILTER (WHERE silent AND last_seen > now() - make_interval(secs => :missed_for_s)) AS missed,
           (SELECT n FROM unnest(CAST(:patterns AS text[]), CAST(:counts AS integer[])) AS e (pattern, n)
            WHERE h.host LIKE e.pattern LIMIT 1) AS expected,
           string_agg(DISTINCT reason ->> 'says', ', ') AS says
    FROM (
        SELECT g.*, array_position(CAST(:states AS text[]), state) AS place,
               (CAST(:states AS text[]))[min(array_position(CAST(:states AS text[]), state)) OVER (PARTITION BY host)] AS worst,
               reasons -> 0 AS reason
        FROM ({GPUS}) g WHERE host IS NOT NULL
    ) h
    GROUP BY host
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class HealthFilter:
    """Some GPUs or hosts. A field that is None, or no state, leaves all of them in."""

    gpu_id: int | None = None
    host: str | None = None
    model: str | None = None
    states: tuple[str, ...] = ()


def wordings(rules: Rules) -> str:
    """What is said of each rule, as JSON."""
    names = [*rules.rules, SILENT, STRAGGLER]
    documents = {}
    for name in names:
        says, action, is_heuristic = rules.wording(name)
        documents[name] = {"says": says, "action": action, "heuristic": is_heuristic}
    return json.dumps(documents)


def gpus(rules: Rules, some: HealthFilter) -> Select[Any]:
    """How each GPU is, the gravest first, then by host and index. `reasons` is the text of JSON, the gravest first."""
    of = states(rules).c
    conditions = equal((of.gpu_id, some.gpu_id), (of.host, some.host), (of.model, some.model))
    told_of = (of.state, of.since, of.last_seen, cast(of.reasons, Text).label("reasons"), of.action)
    rows = select(of.gpu, of.host, of.index, of.model, *told_of).where(*conditions, *among(of.state, some.states))
    return rows.order_by(func.array_position(literal(list(STATES), ARRAY(Text)), of.state), of.host, of.index, of.gpu)


def states(rules: Rules) -> Subquery:
    """The state of each GPU, by its number `gpu_id`."""
    names = ("gpu", "host", "index", "model", "state", "since", "last_seen", "reasons")
    types: dict[str, Any] = {"gpu_id": BigInteger, "index": Integer, "since": Time, "last_seen": Time, "reasons": JSONB}
    columns: list[Any] = [column(name, types.get(name, Text)) for name in ("gpu_id", *names)]
    rows = text(GPUS).bindparams(**_parameters(rules)).columns(*columns).subquery()
    return select(*rows.c, rows.c.reasons[0]["action"].astext.label("action")).subquery()


def numbers(rules: Rules, some_states: Sequence[str]) -> Select[Any]:
    """The numbers of the GPUs in some states."""
    of = states(rules).c
    return select(of.gpu_id).where(of.state.in_(some_states))


def counted(rules: Rules) -> Select[Any]:
    """How many GPUs are in each state."""
    state = states(rules).c.state
    return select(state, func.count().label("gpus")).group_by(state)


def hosts(rules: Rules, some: HealthFilter) -> Select[Any]:
    """How each host is, the gravest first: as its worst GPU, and degraded if some are missing."""
    names = ("place", "gpus", "silent_gpus", "ill_gpus", "missed", "expected")
    columns: list[Any] = [column("host", Text), column("last_seen", Time), column("since", Time), column("says", Text)]
    columns += [column("silent", Boolean), *(column(name, BigInteger) for name in names)]
    parameters = _parameters(rules) | {
        "missed_for_s": rules.missed_for_s,
        "states": list(STATES),
        "patterns": [pattern.replace("%", r"\%").replace("_", r"\_").replace("*", "%") for pattern, _ in rules.expected_gpus],
        "counts": [count for _, count in rules.expected_gpus],
    }
    of = text(HOSTS).bindparams(**parameters).columns(*columns).subquery().c
    # Of a host that is silent as a whole no GPU is missing.
    missing = case((of.silent, 0), else_=func.greatest(of.missed, func.coalesce(of.expected, 0) - of.gpus + of.silent_gpus))
    worst = case(dict(enumerate(STATES, 1)), value=of.place)
    state = case(
        (of.silent, literal("silent")),
        (worst.in_(["silent", "degraded"]), literal("degraded")),
        (and_(worst.in_(["well", "unknown"]), missing > 0), literal("degraded")),
        else_=worst,
    )
    rows = select(
        *(of.host, of.gpus, of.ill_gpus, missing.label("missing_gpus"), state.label("state"), of.since),
        *(of.last_seen, of.says.label("says")),
    ).subquery()
    place = func.array_position(literal(list(STATES), ARRAY(Text)), rows.c.state)
    conditions = [*equal((rows.c.host, some.host)), *among(rows.c.state, some.states)]
    return select(*rows.c).where(*conditions).order_by(place, rows.c.host)


def host_names(rules: Rules, some: HealthFilter) -> Select[Any]:
    """The names of the hosts in some states."""
    return select(hosts(rules, some).order_by(None).subquery().c.host)


def _parameters(rules: Rules) -> dict[str, Any]:
    metrics = [*rules.by_metric]
    return {
        "told": wordings(rules),
        "severities": list(SEVERITIES),
        "silent_after_s": rules.silent_after_s,
        "metrics": metrics,
    }
