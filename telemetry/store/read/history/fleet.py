"""Values aggregated over the fleet: by groups, in steps, of the best groups alone. Which values they are is `chosen`'s."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import CTE, ColumnElement, Double, Select, Subquery, asc, desc, func, literal, select
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import ARRAY

from telemetry.readings.aggregates import Aggregate, OverTime
from telemetry.store.read.history import chosen
from telemetry.store.read.history.aggregates import Transitions, Values, aggregated, over_time, step_start
from telemetry.store.read.history.chosen import Aggregation


def aggregate(asked: Aggregation) -> Select[Any]:
    """One row for each step and group that has readings, with the columns of the question."""
    values = chosen.values(asked, chosen.series(asked))
    rows = _histogram(asked, values) if asked.aggregate == "histogram" else _grouped(asked, values)
    answer = rows.subquery().c
    order: list[Any] = [answer.timestamp] if asked.step else []
    if asked.sort:
        column = answer[asked.sort.lstrip("-")]
        order.insert(0, desc(column).nulls_last() if asked.sort.startswith("-") else asc(column).nulls_last())
    if (ranked := _ranked(asked)) is not None:
        order.append(ranked(answer.overall).nulls_last())
    order += [answer[name] for name in asked.keys]
    if asked.aggregate == "histogram":
        order.append(answer.low.nulls_first())
    shown = select(*(answer[name] for name in asked.columns))
    return shown.where(*(each.on(answer) for each in asked.having)).order_by(*order)


def _grouped(asked: Aggregation, values: Subquery) -> Select[Any]:
    of = values.c
    steps = [step_start(asked.step, of.ts)] if asked.step else []
    keys = [of[name] for name in asked.keys]
    rows = select(*steps, *keys, _value(asked, of).label("value"), func.count().label("readings")).select_from(values)
    if _ranked(asked) is not None:
        best = _best(asked, values)
        rows = rows.add_columns(best.c.overall).join(best, best.c.group == of.group).group_by(best.c.overall)
    # Without groups and steps there would be a row of no readings too.
    return rows.group_by(*steps, *keys).having(func.count() > 0)


def _histogram(asked: Aggregation, values: Subquery) -> Select[Any]:
    """A row for each bucket that has readings: its share of the readings of its step and group."""
    edges = literal(list(asked.buckets), ARRAY(Double))
    of, steps = values.c, [step_start(asked.step, values.c.ts)] if asked.step else []
    bucket = func.width_bucket(of.value, edges).label("bucket")
    keys = [of[name] for name in asked.keys]
    counts = select(*steps, *keys, bucket, func.count().label("readings"), edges.label("edges"))
    counted = counts.group_by(*steps, *keys, bucket).subquery().c
    parts = [counted[name] for name in (*(["timestamp"] if asked.step else []), *asked.keys)]
    whole = func.sum(counted.readings).over(partition_by=parts or None)
    share = sql_cast(counted.readings, Double) / sql_cast(whole, Double)
    low, high = counted.edges[counted.bucket], counted.edges[counted.bucket + 1]
    return select(*parts, low.label("low"), high.label("high"), share.label("value"), counted.readings)


def _value(asked: Aggregation, of: Any) -> ColumnElement[Any]:
    if asked.is_over_time:
        return over_time(cast("OverTime", asked.aggregate), Transitions(of.value, of.before, of.length_s), asked.bridge)
    return aggregated(cast("Aggregate", asked.aggregate), Values(of.ts, of.value, of.of))


def _ranked(asked: Aggregation) -> Any:
    """The order of groups of which only the first are asked for; None where all are."""
    return desc if asked.top is not None else asc if asked.bottom is not None else None


def _best(asked: Aggregation, values: Subquery) -> CTE:
    """The groups with the largest (or smallest) aggregate over the whole span, and that aggregate."""
    overall = _value(asked, values.c).label("overall")
    ranked = select(values.c.group, overall).group_by(values.c.group)
    order = _ranked(asked)(overall).nulls_last(), values.c.group
    return ranked.order_by(*order).limit(asked.top or asked.bottom).cte("best").prefix_with("MATERIALIZED")
