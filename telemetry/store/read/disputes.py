"""Whose GPU is told in two ways: times in which a scheduler names another owner than the readings do, or another scheduler.

Owners are compared by the parts that both have, but not by container: who tells of a pod may not tell of those. A job and a pod
have no part in common, and do not contradict each other. Where owners share a GPU, each that the other side names too is no
dispute, and two that both sides name are none with each other.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Integer, Select, Text, column, desc, select, text

from telemetry.readings.tellers import TOLD_BY
from telemetry.store.models import Time

COMPARED = ("namespace", "pod", "job", '"user"', "account")
_COMMON = " OR ".join(f"(x.{part} IS NOT NULL AND y.{part} IS NOT NULL)" for part in COMPARED)
_OTHER = " OR ".join(f"x.{part} <> y.{part}" for part in COMPARED)

DISPUTES = f"""
    WITH held AS MATERIALIZED (
        SELECT a.gpu_id, a.instance, a.day, a.owner_id, coalesce(o.labels ->> '{TOLD_BY}', '') AS teller,
               {", ".join(f"o.{part}" for part in COMPARED)}, a.held * tstzmultirange(tstzrange(:start, :end)) AS held
        FROM allocations a JOIN owners o ON o.id = a.owner_id
        WHERE a.day BETWEEN (CAST(:start AS timestamptz) AT TIME ZONE 'UTC')::date
                        AND (CAST(:end AS timestamptz) AT TIME ZONE 'UTC')::date
            AND o.labels <> '{{}}' AND (CAST(:gpus AS bigint[]) IS NULL OR a.gpu_id = ANY(CAST(:gpus AS bigint[])))
    ), pairs AS MATERIALIZED (
        SELECT x.gpu_id, x.instance, x.owner_id AS one, y.owner_id AS other, x.teller, y.teller AS against,
               x.held * y.held AS held, ({_OTHER}) IS NOT TRUE AS agree
        FROM held x JOIN held y USING (gpu_id, instance, day)
        WHERE x.teller <> y.teller AND x.held && y.held AND ({_COMMON})
    ), agreed AS MATERIALIZED (
        SELECT p.gpu_id, p.instance, p.one AS owner_id, p.against, range_agg(r.span) AS held
        FROM pairs p CROSS JOIN LATERAL unnest(p.held) AS r (span) WHERE p.agree GROUP BY 1, 2, 3, 4
    ), contradicted AS (
        SELECT p.gpu_id, p.instance, p.one, p.other, p.teller, p.against, range_agg(r.span) AS held
        FROM pairs p CROSS JOIN LATERAL unnest(p.held) AS r (span) WHERE NOT p.agree AND p.teller < p.against
        GROUP BY 1, 2, 3, 4, 5, 6
    ), spans AS (
        SELECT c.gpu_id, c.instance, c.one, c.other, c.teller, c.against,
               unnest(c.held - coalesce(m.held, '{{}}') * coalesce(n.held, '{{}}')) AS span
        FROM contradicted c
        LEFT JOIN agreed m ON (m.gpu_id, m.instance, m.owner_id, m.against) = (c.gpu_id, c.instance, c.one, c.against)
        LEFT JOIN agreed n ON (n.gpu_id, n.instance, n.owner_id, n.against) = (c.gpu_id, c.instance, c.other, c.teller)
    )
    SELECT g.identity AS gpu, g.host, g.gpu_index AS index, g.model, nullif(s.instance, '') AS instance,
           lower(s.span) AS start, upper(s.span) AS end, nullif(s.teller, '') AS told_by, x.labels::text AS owner,
           nullif(s.against, '') AS other_told_by, y.labels::text AS other_owner, s.one, s.other
    FROM spans s JOIN gpus g ON g.id = s.gpu_id JOIN owners x ON x.id = s.one JOIN owners y ON y.id = s.other
    WHERE upper(s.span) - lower(s.span) >= :at_least
"""  # noqa: S608 - names of columns
COLUMNS: dict[str, Any] = {
    **dict.fromkeys(("gpu", "host"), Text()),
    "index": Integer(),
    **dict.fromkeys(("model", "instance"), Text()),
    **dict.fromkeys(("start", "end"), Time),
    **dict.fromkeys(("told_by", "owner", "other_told_by", "other_owner"), Text()),
    **dict.fromkeys(("one", "other"), BigInteger()),
}


def disputes(start: datetime, end: datetime, at_least: timedelta, gpus: Collection[int] = ()) -> Select[Any]:
    """The disputes of a span, the latest first, that last so long at least; of some GPUs alone, if any are given."""
    asked = {"start": start, "end": end, "at_least": at_least, "gpus": sorted(gpus) or None}
    row = text(DISPUTES).bindparams(**asked).columns(*(column(name, kind) for name, kind in COLUMNS.items())).subquery().c
    rows = select(*(row[name] for name in COLUMNS if name not in ("one", "other")))
    return rows.order_by(desc(row["end"]), desc(row.start), row.gpu, row.instance, row.one, row.other)
