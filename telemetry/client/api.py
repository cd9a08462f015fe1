"""The client: a method for each thing that the API can be asked. All of them raise ApiError and NetworkError."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import httpx

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
    Upload,
    Usage,
)
from telemetry.client.events import events
from telemetry.client.queries import Length, Names, Time, of_readings, written
from telemetry.client.resources import checked, part, telemetry_of
from telemetry.client.session import Session
from telemetry.readings.aggregates import Aggregate, FleetAggregate

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

POLL_S = 0.5
URL, KEY = "TELEMETRY_API_URL", "TELEMETRY_API_KEY"
FileEncoding = Literal["csv", "ndjson", "arrow", "parquet"]


class Client:
    """The API at one address. A key is needed unless the API is open.

    What is not given comes from the environment: TELEMETRY_API_URL and TELEMETRY_API_KEY. `timeout_s` is for each wait, not for
    a whole stream. Raises ValueError without an address, or for one that is none of http or https.
    """

    def __init__(
        self,
        base_url: str | None = None,
        key: str | None = None,
        *,
        timeout_s: float = 30,
        transport: httpx.BaseTransport | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        address = base_url or environ.get(URL)
        if not address:
            raise ValueError(f"the client needs the address of an API: Client('http://127.0.0.1:8080'), or {URL}")
        self._session = Session(address, key or environ.get(KEY), timeout_s, transport)

    def __repr__(self) -> str:
        return f"Client({self._session.address!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def gpus(self, **filters: Any) -> Iterator[Gpu]:
        """The GPUs. `sort` orders them, `limit` bounds them.

        Filters are host, model, driver, namespace, pod, job, user, account, state, seen_since and silent_for.
        """
        return cast("Iterator[Gpu]", self._session.rows("gpus", filters))

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
        metrics: Names = (),
        start: Time | None = None,
        end: Time | None = None,
        step: Length | None = None,
        agg: Aggregate | None = None,
        order: Literal["asc", "desc"] = "asc",
        limit: int | None = None,
    ) -> Iterator[Reading]:
        """The readings of one GPU in order of time, however many there are."""
        query = of_readings(metrics, start, end, step, agg) | {"order": order, "limit": limit}
        return cast("Iterator[Reading]", self._session.rows(telemetry_of(gpu), query))

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
        query = of_readings(metrics, start, end, None, None) | {"order": order}
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
        start: Time = "-7d",
        end: Time | None = None,
        sort: str | None = None,
        **filters: Any,
    ) -> Iterator[Usage]:
        """Who used how much, by groups: an owner's parts, host, gpu, model.

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

    def arrow(
        self,
        gpu: str,
        *,
        metrics: Names = (),
        start: Time | None = None,
        end: Time | None = None,
        step: Length | None = None,
        agg: Aggregate | None = None,
    ) -> pa.Table:
        """The readings of one GPU as an Arrow table: timestamp, gpu, metric, value, unit, labels (JSON)."""
        return self.table(telemetry_of(gpu), **of_readings(metrics, start, end, step, agg))

    def pandas(self, gpu: str, **query: Any) -> pd.DataFrame:
        """The same as a pandas frame, with a column for each label, and categories for what repeats."""
        from telemetry.client import frames  # noqa: PLC0415 - needed for tables only

        return frames.expanded(self.arrow(gpu, **query)).to_pandas()

    def polars(self, gpu: str, **query: Any) -> pl.DataFrame:
        """The same as a polars frame."""
        return _polars(self.arrow(gpu, **query))

    def fleet(
        self,
        metrics: Names,
        *,
        gpus: Names | None = None,
        start: Time = "-1h",
        end: Time | None = None,
        step: Length | None = None,
        agg: Aggregate | None = None,
        wide: bool = False,
        **filters: Any,
    ) -> pa.Table:
        """Readings of many GPUs as an Arrow table: of `gpus`, or of all that the filters leave (host, model, namespace, pod).

        Long, it has a row for each reading and a column for each label; with `step`, which asks once for each metric, host,
        index and model. Wide, it has a row for each time and a column for each GPU, named `metric GPU` if there are several
        metrics. Raises ValueError if two series of one GPU and metric meet at one time of a wide table, and for an owner
        (namespace, pod) of steps of single `gpus`: a step of a GPU is over all its owners.
        """
        from telemetry.client import fleets  # noqa: PLC0415 - needed for tables only

        owners = [name for name in fleets.OWNERS if filters.get(name) is not None]
        if gpus is not None and step is not None and owners:
            raise ValueError(f"a step of one GPU is over all its owners: leave out gpus, or {' and '.join(owners)}")
        names = metrics.split(",") if isinstance(metrics, str) else list(metrics)
        question = {"start": start, "end": end, "step": step, "agg": agg}
        asked = fleets.Fleet(self.table, lambda **query: (gpu["id"] for gpu in self.gpus(**query)), names, question, filters)
        return fleets.shaped(asked.of_gpus(gpus) if gpus is not None or step is None else asked.in_steps(), names, is_wide=wide)

    def frame(self, metrics: Names, *, kind: Literal["pandas", "polars"] = "pandas", **query: Any) -> Any:
        """`fleet` as a frame of pandas or polars. A wide one of pandas has the time as its index."""
        table = self.fleet(metrics, **query)
        if kind == "polars":
            return _polars(table)
        frame = table.to_pandas()
        return frame.set_index("timestamp") if query.get("wide") else frame

    def table(self, resource: str, **query: Any) -> pa.Table:
        """Any list as an Arrow table, such as `table("latest", host="a")`. `.to_pandas()` or `polars.from_arrow` convert it."""
        from telemetry.client import frames  # noqa: PLC0415 - needed for tables only

        return frames.read(self._session.send("GET", checked(resource), {**query, "format": "arrow"}).content)

    def save(
        self,
        path: str | Path,
        resource: str,
        format: FileEncoding = "csv",  # noqa: A002 - the API's word
        **query: Any,
    ) -> int:
        """Write any list to a file, in the same memory whatever its length, whole or not at all. Returns its size in bytes."""
        whole, asked = Path(path), {**query, "format": format}
        partial = whole.with_name(f".{whole.name}.part")
        address = checked(resource)

        def fetch() -> int:
            with partial.open("wb") as file, self._session.stream(address, asked) as response:
                return sum(file.write(piece) for piece in response.iter_bytes())

        try:
            size = self._session.again(fetch)
            partial.replace(whole)
        finally:
            partial.unlink(missing_ok=True)
        return size

    def upload(self, path: str | Path) -> Upload:
        """Send a CSV file, plain or gzip. It is safe at the centre when this returns; `wait` waits until it is committed."""
        with Path(path).open("rb") as file:
            response = self._session.send("POST", "telemetry", {}, file)
        return self.progress(response.json()["id"])

    def progress(self, upload_id: str) -> Upload:
        """How far an upload is."""
        return cast("Upload", self._session.get(f"uploads/{part(upload_id)}"))

    def wait(self, upload_id: str, timeout_s: float = 600) -> Upload:
        """Wait until an upload is done, or its file was removed. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while (upload := self.progress(upload_id))["state"] not in {"done", "removed"}:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{upload['committed_bytes']} of {upload['size_bytes']} bytes were committed in {timeout_s:g} s"
                )
            time.sleep(POLL_S)
        return upload


def _polars(table: pa.Table) -> pl.DataFrame:
    from polars import from_arrow  # noqa: PLC0415 - needed for such a frame only

    from telemetry.client import frames  # noqa: PLC0415 - needed for tables only

    return cast("pl.DataFrame", from_arrow(frames.expanded(table)))
