"""The findings there were: which rule told of which GPU, from when to when, and who had the GPU then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, cast, desc, func, literal, or_, select
from sqlalchemy.dialects.postgresql import JSONB

from telemetry.health.rules import SEVERITIES, Rules
from telemetry.store.models import Finding, Gpu, Metric, Series
from telemetry.store.read.filters import among, equal
from telemetry.store.read.health import wordings


@dataclass(frozen=True, slots=True)
class FindingFilter:
    """Some findings. A field that is None, or empty, leaves all of them in. The span is of what they cover."""

    gpu_id: int | None = None
    host: str | None = None
    rules: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None


def findings(rules: Rules, some: FindingFilter, after: tuple[datetime, int] | None = None) -> Select[Any]:
    """Findings, the latest first, after a place (begin, id)."""
    words = cast(literal(wordings(rules)), JSONB)
    says, action = (func.jsonb_extract_path_text(words, Finding.rule, name) for name in ("says", "action"))
    severity = case(dict(enumerate(SEVERITIES, 1)), value=Finding.severity).label("severity")
    rows = select(
        Finding.id,
        *(Gpu.identity.label("gpu"), Gpu.host, Gpu.index.label("index"), Gpu.model, Metric.name.label("metric")),
        *(Finding.rule, Finding.kind, severity, func.coalesce(says, Finding.rule).label("says")),
        *(Finding.begun_at, Finding.fired_at, Finding.ended_at, Finding.value),
        func.coalesce(action, "").label("action"),
    )
    rows = rows.join(Gpu, Gpu.id == Finding.gpu_id).outerjoin(Series, Series.id == Finding.series_id).outerjoin(Metric)
    ranks = [1 + SEVERITIES.index(severity) for severity in SEVERITIES if severity in some.severities]
    conditions = [
        *equal((Finding.gpu_id, some.gpu_id), (Gpu.host, some.host)),
        *among(Finding.rule, some.rules),
        *among(Finding.kind, some.kinds),
        *among(Finding.severity, ranks),
        *([or_(Finding.ended_at.is_(None), Finding.ended_at >= some.start)] if some.start else []),
        *([Finding.begun_at <= some.end] if some.end else []),
    ]
    if after:
        begun, number = after
        conditions.append(case((Finding.begun_at == begun, Finding.id < number), else_=Finding.begun_at < begun))
    return rows.where(*conditions).order_by(desc(Finding.begun_at), desc(Finding.id))
