"""Lists of the API as rows of Python: a method for each that has a type. What asks is `session`'s."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, cast

from telemetry.client.documents import (
    Event,
    FleetReading,
    Gpu,
    GpuHealth,
    GroupAggregate,
    Host,
    Latest,
    Metric,
    Reading,
    Usage,
)
from telemetry.client.events import events
from telemetry.client.queries import Length, Names, OfReadings, Time, of_readings, written
from telemetry.client.resources import checked, part, telemetry_of
from telemetry.client.session import Session
from telemetry.readings.aggregates import FleetAggregate

if TYPE_CHECKING:
    from typing_extensions import Unpack

# What an API of the version before goes by, which does not say it.
SILENT_AFTER_S = 600


class Lists:
    """The lists of an API."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def gpus(self, **filters: Any) -> Iterator[Gpu]:
        """The GPUs. `sort` orders them, `limit` bounds them.

        Filters are host, model, driver, namespace, pod, job, user, account, state, seen_since and silent_for.
        """
        return cast("Iterator[Gpu]", self._session.rows("gpus", filters))

    def silent_after_s(self) -> float:
        """After how many seconds without a reading a GPU is silent, by the health rules of the centre."""
        return float(self._session.get("gpus", {"limit": 1}).get("silent_after_s", SILENT_AFTER_S))

    def server_time(self) -> datetime | None:
        """The API's clock as it gave its last answer, to the second; None if it never did."""
        return self._session.server_time

    def gpu(self, name: str) -> Gpu:
        """One GPU by its UUID or host:index."""
        return cast("Gpu", self._session.get(f"gpus/{part(name)}"))

    def hosts(self, **filters: Any) -> Iterator[Host]:
        """The hosts by name; `silent_for` leaves those without a reading for so long, `state` those in a state of health."""
        return cast("Iterator[Host]", self._session.rows("hosts", filters))

    def health(self, **filters: Any) -> Iterator[GpuHealth]:
        """How the GPUs are, the gravest first. Filters are gpu, host, model and state (one or several)."""
        return cast("Iterator[GpuHealth]", self._session.rows("health", filters))

    def events(self, *, start: Time | None = None, end: Time | None = None, **filters: Any) -> Iterator[Event]:
        """What happened to GPUs, the latest first: in the last day unless a time is given. Filters are gpu, host and kind."""
        return cast("Iterator[Event]", self._session.rows("events", written({"start": start, "end": end} | filters)))

    def metrics(self, **filters: Any) -> Iterator[Metric]:
        """The metrics by name."""
        return cast("Iterator[Metric]", self._session.rows("metrics", filters))

    def readings(
        self,
        gpu: str,
        *,
        order: Literal["asc", "desc"] = "asc",
        limit: int | None = None,
        **query: Unpack[OfReadings],
    ) -> Iterator[Reading]:
        """The readings of one GPU in order of time, however many there are, by metrics, start, end, step and agg."""
        asked = of_readings(**query) | {"order": order, "limit": limit}
        return cast("Iterator[Reading]", self._session.rows(telemetry_of(gpu), asked))

    def readings_of_many(
        self,
        *,
        metrics: Names = (),
        start: Time | None = None,
        end: Time | None = None,
        order: Literal["asc", "desc"] = "asc",
        **filters: Any,
    ) -> Iterator[FleetReading]:
        """The raw readings of many GPUs in order of time, of the last hour unless `start` is given.

        Filters are gpu, host, model, namespace, pod, job, user and account, one or a list of each.
        """
        query = of_readings(metrics=metrics, start=start, end=end) | {"order": order}
        return cast("Iterator[FleetReading]", self._session.rows("readings", query | filters))

    def latest(self, **filters: Any) -> Iterator[Latest]:
        """The latest reading of each series. Filters are gpu, host, model, namespace, pod and metrics."""
        return cast("Iterator[Latest]", self._session.rows("latest", filters))

    def live(self, *, seconds: int | None = None, **filters: Any) -> Iterator[Latest]:
        """Readings as they come: first the latest of each series, then newer ones. Filters are those of `latest`.

        It ends after `seconds`, or when the API ends the stream: after an hour.
        """
        with self._session.stream("live", {"seconds": seconds, **filters}) as response:
            for name, data in events(response.iter_lines()):
                if name == "reading":
                    yield cast("Latest", json.loads(data))

    def query(
        self,
        metric: str,
        *,
        by: Names = (),
        agg: FleetAggregate = "avg",
        start: Time | None = None,
        end: Time | None = None,
        step: Length | None = None,
        top: int | None = None,
        bottom: int | None = None,
        per: str | None = None,
        where: Names | None = None,
        having: Names | None = None,
        sort: str | None = None,
        **filters: Any,
    ) -> Iterator[GroupAggregate]:
        """One metric aggregated over the fleet, by groups: host, gpu, model, an owner's parts, or a label as label.team.

        `per` is a metric that each value is divided by. `where` is about readings, `having` about rows, as value<5. Filters are
        host, model, namespace, pod, job, user, account and label (as team=vision), one or a list of each; more are buckets and
        bridge.
        """
        asked = {"metrics": metric, "start": start, "end": end, "step": step, "agg": agg, "by": by or None, "top": top}
        asked |= {"bottom": bottom, "per": per, "where": where, "having": having, "sort": sort}
        return cast("Iterator[GroupAggregate]", self._session.rows("query", written(asked | filters)))

    def usage(
        self,
        *,
        by: Names = ("namespace",),
        start: Time | None = None,
        end: Time | None = None,
        sort: str | None = None,
        **filters: Any,
    ) -> Iterator[Usage]:
        """Who used how much, by groups: an owner's parts, host, gpu, model; in the 7 days before `end` unless `start` is given.

        Filters are gpu, host, model, namespace, pod, job, user and account, one or a list of each.
        """
        asked = written({"start": start, "end": end, "by": by, "sort": sort} | filters)
        return cast("Iterator[Usage]", self._session.rows("usage", asked))

    def rows(self, resource: str, **query: Any) -> Iterator[dict[str, Any]]:
        """The rows of any list, such as edges, sources, batches, dead-letters. Raises ValueError for a name that is no list."""
        return self._session.rows(checked(resource), query)

    def stats(self) -> dict[str, Any]:
        """How much there is of everything."""
        return self._session.get("stats")
