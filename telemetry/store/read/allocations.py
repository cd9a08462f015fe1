"""Who had a GPU, and from when to when. Gaps between readings are bridged here, not where they are stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Double, Select, Text, case, cast, desc, func, select
from sqlalchemy.dialects.postgresql import TSTZMULTIRANGE

from telemetry.store.models import Allocation, Owner
from telemetry.store.read.filters import among
from telemetry.store.read.owned import IS_SOMEBODY, PARTS, between


def of_gpu(
    gpu_id: int, start: datetime | None, end: datetime | None, bridge: timedelta, namespaces: Sequence[str] = ()
) -> Select[Any]:
    """The allocations of a GPU within a span, the latest first: one for each stretch without a gap longer than `bridge`.

    Of some `namespaces` alone, if any are given. `held_s` is its length, `read_s` how much of it has readings, to the minute.
    """
    span = func.tstzmultirange(func.tstzrange(start, end), type_=TSTZMULTIRANGE)
    held = select(Allocation.instance, Allocation.owner_id, func.unnest(Allocation.held * span).label("span"))
    ranges = held.where(Allocation.gpu_id == gpu_id, *between(start, end)).subquery().c
    low, high = func.lower(ranges.span), func.upper(ranges.span)
    before = func.lag(high).over(partition_by=[ranges.instance, ranges.owner_id], order_by=low)
    begins = case((low - before <= bridge, 0), else_=1).label("begins")
    marked = select(ranges.instance, ranges.owner_id, low.label("low"), high.label("high"), begins).subquery().c
    number = func.sum(marked.begins).over(partition_by=[marked.instance, marked.owner_id], order_by=marked.low)
    pieces = select(marked.instance, marked.owner_id, marked.low, marked.high, number.label("number")).subquery().c
    first, last = func.min(pieces.low), func.max(pieces.high)
    return (
        select(
            first.label("start"),
            last.label("end"),
            _seconds(last - first).label("held_s"),
            _seconds(func.sum(pieces.high - pieces.low)).label("read_s"),
            func.nullif(pieces.instance, "").label("instance"),
            *(column.label(part) for part, column in PARTS.items()),
            cast(Owner.labels, Text).label("owner"),
        )
        .join(Owner, Owner.id == pieces.owner_id)
        .where(IS_SOMEBODY, *among(Owner.namespace, namespaces))
        .group_by(pieces.instance, pieces.number, Owner.id)
        .order_by(desc(last), desc(first), pieces.instance, Owner.id)
    )


def _seconds(length: Any) -> Any:
    return cast(func.extract("epoch", length), Double)
