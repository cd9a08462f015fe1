"""The client: a method for each thing that the API can be asked."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import httpx
import pyarrow as pa

from telemetry.client.documents import Gpu, Reading, Upload
from telemetry.client.queries import Length, Time, of_readings, part, telemetry_of
from telemetry.client.session import Session
from telemetry.readings.aggregates import Aggregate, Group

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

POLL_S = 0.5
FileEncoding = Literal["csv", "ndjson", "arrow", "parquet"]


class Client:
    """The API at one address. A key is needed unless the API is open. `timeout_s` is for each wait, not for a whole stream."""

    def __init__(
        self, base_url: str, key: str | None = None, *, timeout_s: float = 30, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._session = Session(base_url, key, timeout_s, transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def gpus(self, **filters: Any) -> Iterator[Gpu]:
        """The GPUs. Filters are host, model, driver, namespace, pod and seen_since; `sort` orders them, `limit` bounds them."""
        return cast("Iterator[Gpu]", self._session.rows("gpus", filters))

    def gpu(self, name: str) -> Gpu:
        """One GPU by its UUID or host:index."""
        return cast("Gpu", self._session.get(f"gpus/{part(name)}"))

    def readings(
        self,
        gpu: str,
        *,
        metrics: Sequence[str] = (),
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

    def arrow(
        self,
        gpu: str,
        *,
        metrics: Sequence[str] = (),
        start: Time | None = None,
        end: Time | None = None,
        step: Length | None = None,
        agg: Aggregate | None = None,
    ) -> pa.Table:
        """The same as an Arrow table: timestamp, gpu, metric, value, unit, labels (JSON)."""
        return self.table(telemetry_of(gpu), **of_readings(metrics, start, end, step, agg))

    def pandas(self, gpu: str, **query: Any) -> pd.DataFrame:
        """The same as a pandas frame."""
        return self.arrow(gpu, **query).to_pandas()

    def polars(self, gpu: str, **query: Any) -> pl.DataFrame:
        """The same as a polars frame."""
        from polars import from_arrow  # noqa: PLC0415 - needed for such a frame only

        return cast("pl.DataFrame", from_arrow(self.arrow(gpu, **query)))

    def table(self, resource: str, **query: Any) -> pa.Table:
        """Any list as an Arrow table, such as `table("latest", host="a")`. `.to_pandas()` or `polars.from_arrow` convert it."""
        response = self._session.send("GET", resource, {**query, "format": "arrow"})
        return pa.ipc.open_stream(response.content).read_all()

    def save(
        self,
        path: str | Path,
        resource: str,
        format: FileEncoding = "csv",  # noqa: A002 - the API's word
        **query: Any,
    ) -> int:
        """Write any list to a file, in the same memory whatever its length, whole or not at all. Returns its size in bytes."""
        whole, size = Path(path), 0
        partial = whole.with_name(f".{whole.name}.part")
        try:
            with partial.open("wb") as file, self._session.stream(resource, {**query, "format": format}) as response:
                for piece in response.iter_bytes():
                    size += file.write(piece)
            partial.replace(whole)
        finally:
            partial.unlink(missing_ok=True)
        return size

    def latest(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """The latest reading of each series. Filters are gpu, host, model, namespace, pod and metric."""
        return self._session.rows("latest", filters)

    def query(
        self,
        metric: str,
        *,
        by: Sequence[Group] = (),
        agg: Aggregate = "avg",
        start: Time | None = None,
        end: Time | None = None,
        step: Length | None = None,
        top: int | None = None,
        **filters: Any,
    ) -> Iterator[dict[str, Any]]:
        """One metric aggregated over the fleet. Filters are host, model, namespace and pod."""
        query = of_readings([metric], start, end, step, agg) | {"by": list(by), "top": top} | filters
        return self._session.rows("query", query)

    def rows(self, resource: str, **query: Any) -> Iterator[dict[str, Any]]:
        """The rows of any other list: hosts, metrics, edges, sources, batches, quarantine, conflicts, dead-letters, audit."""
        return self._session.rows(resource, query)

    def stats(self) -> dict[str, Any]:
        """How much there is of everything."""
        return self._session.get("stats")

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
