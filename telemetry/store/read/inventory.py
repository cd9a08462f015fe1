"""What there is: GPUs, hosts, metrics. Each function returns a statement whose columns carry the names that readers see."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, asc, desc, distinct, exists, func, literal_column, select, true
from sqlalchemy.dialects.postgresql import aggregate_order_by

from telemetry.store.models import Gpu, Metric, Sample, Series

GpuSort = Literal["host", "-host", "model", "-model", "driver", "-driver", "first_seen", "-first_seen", "id", "-id"]
SORTS: dict[str, Any] = {
    "host": Gpu.host,
    "model": Gpu.model,
    "driver": Gpu.driver_version,
    "first_seen": Gpu.first_seen,
    "id": Gpu.identity,
}


@dataclass(frozen=True, slots=True)
class GpuFilter:
    """Some GPUs; None leaves all in. `seen_since`: those with a reading from then on."""

    host: str | None = None
    model: str | None = None
    driver: str | None = None
    namespace: str | None = None
    pod: str | None = None
    seen_since: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """On gpus."""
        pairs: list[tuple[Any, Any]] = [(Gpu.host, self.host), (Gpu.model, self.model), (Gpu.driver_version, self.driver)]
        found = [column == value for column, value in pairs if value is not None]
        labels: list[tuple[Any, Any]] = [(Series.namespace, self.namespace), (Series.pod, self.pod)]
        used = [column == value for column, value in labels if value is not None]
        if used or self.seen_since:
            series: Select[Any] = select(literal_column("1")).select_from(Series).where(Series.gpu_id == Gpu.id, *used)
            if self.seen_since:
                since = Sample.ts >= self.seen_since
                one = select(Sample.ts).where(Sample.series_id == Series.id, since).limit(1).lateral()
                series = series.join(one, true())
            found.append(exists(series))
        return found


def gpu_columns() -> list[Any]:
    """A GPU as readers see it."""
    return [
        Gpu.identity.label("id"),
        Gpu.uuid,
        Gpu.host,
        Gpu.index.label("index"),
        Gpu.device,
        Gpu.model,
        Gpu.driver_version,
        Gpu.first_seen,
    ]


def gpus(wanted: GpuFilter, sort: GpuSort, most: int | None, offset: int) -> Select[Any]:
    """GPUs in an order, ties by host, index and id."""
    column = SORTS[sort.lstrip("-")]
    first = desc(column) if sort.startswith("-") else asc(column)
    rows = select(*gpu_columns()).where(*wanted.conditions()).order_by(first, Gpu.host, Gpu.index, Gpu.identity)
    return rows.limit(most).offset(offset or None)


def gpus_counted(wanted: GpuFilter) -> Select[Any]:
    """How many there are."""
    return select(func.count()).select_from(Gpu).where(*wanted.conditions())


def gpu_metrics(gpu_id: int, most: int | None, offset: int) -> Select[Any]:
    """The metrics of a GPU with the first and the last time of a reading."""

    def end(direction: Any) -> Any:
        return select(Sample.ts).where(Sample.series_id == Series.id).order_by(direction).limit(1).lateral()

    first, last = end(asc(Sample.ts)), end(desc(Sample.ts))
    return (
        select(
            Metric.name,
            Metric.unit,
            Metric.description,
            Metric.kind,
            func.count().label("series"),
            func.min(first.c.ts).label("first_reading"),
            func.max(last.c.ts).label("last_reading"),
        )
        .select_from(Series)
        .join(Metric)
        .outerjoin(first, true())
        .outerjoin(last, true())
        .where(Series.gpu_id == gpu_id)
        .group_by(Metric.id)
        .order_by(Metric.name)
        .limit(most)
        .offset(offset or None)
    )


def hosts(name: str | None, most: int | None, offset: int) -> Select[Any]:
    """Hosts by name, with how many GPUs of which models."""
    models = func.string_agg(distinct(Gpu.model), aggregate_order_by(literal_column("', '"), Gpu.model))
    rows = (
        select(
            Gpu.host.label("name"),
            func.count().label("gpus"),
            models.label("models"),
            func.min(Gpu.first_seen).label("first_seen"),
        )
        .where(Gpu.host.is_not(None), *([Gpu.host == name] if name is not None else []))
        .group_by(Gpu.host)
        .order_by(Gpu.host)
    )
    return rows.limit(most).offset(offset or None)


def metrics(name: str | None, most: int | None, offset: int) -> Select[Any]:
    """Metrics by name, with how many series there are of each."""
    counted = select(func.count()).where(Series.metric_id == Metric.id).scalar_subquery()
    rows = select(Metric.name, Metric.unit, Metric.description, Metric.kind, counted.label("series"))
    rows = rows.where(*([Metric.name == name] if name is not None else [])).order_by(Metric.name)
    return rows.limit(most).offset(offset or None)
