"""A client of the API: typed, synchronous, lists as iterators that fetch page after page, readings as Arrow or frames.

    with Client("http://127.0.0.1:8080", key="tk_…") as api:
        for gpu in api.gpus(host="node-1"):
            print(gpu["id"], api.arrow(gpu["id"], metrics=["DCGM_FI_DEV_GPU_TEMP"], start="-24h").num_rows)

It needs httpx (`pip install telemetry-pipeline[client]`), and pandas or polars only for what returns their frames.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, cast
from urllib.parse import quote

import httpx
import pyarrow as pa

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

PAGE = 1000
PREFIX = "/api/v1"
POLL_S = 0.5

Aggregate = Literal["avg", "min", "max", "sum", "last", "count", "p50", "p95", "p99"]
Group = Literal["host", "gpu", "model", "namespace", "pod", "container"]
# A time with a zone, or a text such as -1h, now or 2025-07-18T20:42:34Z.
Time = datetime | str
# A length of time, or a text such as 5m.
Length = timedelta | str


class Gpu(TypedDict):
    """A GPU; times are RFC 3339."""

    id: str
    uuid: str | None
    host: str | None
    index: int | None
    device: str | None
    model: str | None
    driver_version: str | None
    first_seen: str


class Reading(TypedDict):
    """A reading, or an aggregate of those in a step."""

    timestamp: str
    gpu: str
    metric: str
    value: float | None
    unit: str | None
    labels: dict[str, str]


class Upload(TypedDict):
    """How far an upload is."""

    id: str
    state: Literal["waiting", "reading", "done"]
    uploaded_at: str
    size_bytes: int
    committed_bytes: int
    rows_read: int
    batches: int
    dead_batches: int
    rows: int
    stored: int
    duplicate: int
    conflict: int
    blank: int
    quarantined: int


class ApiError(Exception):
    """The API refused: `code` never changes its meaning, `parameter` is the one at fault, `detail` says how to mend it."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.code: str = problem.get("code", "unknown")
        self.detail: str = problem.get("detail", "")
        self.parameter: str | None = problem.get("parameter")
        self.request_id: str | None = problem.get("request_id")
        super().__init__(f"{status} {self.code}: {self.detail}")


class Client:
    """The API at one address. A key is needed unless the API is open. `timeout_s` is for each wait, not for a whole stream."""

    def __init__(
        self, base_url: str, key: str | None = None, *, timeout_s: float = 30, transport: httpx.BaseTransport | None = None
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=timeout_s, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def gpus(self, **filters: Any) -> Iterator[Gpu]:
        """The GPUs: host, model, driver, namespace, pod, seen_since and sort say which, and in which order."""
        return cast("Iterator[Gpu]", self._rows("gpus", filters))

    def gpu(self, name: str) -> Gpu:
        """One GPU by its UUID or host:index."""
        return cast("Gpu", self._get(f"gpus/{_part(name)}"))

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
    ) -> Iterator[Reading]:
        """The readings of one GPU in order of time, however many there are."""
        query = _query(metrics, start, end, step, agg) | {"order": order, "limit": PAGE}
        path = f"gpus/{_part(gpu)}/telemetry"
        while True:
            page = self._get(path, query)
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            query["cursor"] = page["next_cursor"]

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
        query = _query(metrics, start, end, step, agg) | {"format": "arrow"}
        answer = self._http.get(f"{PREFIX}/gpus/{_part(gpu)}/telemetry", params=query)
        return pa.ipc.open_stream(_checked(answer).content).read_all()

    def pandas(self, gpu: str, **query: Any) -> pd.DataFrame:
        """The same as a pandas frame."""
        return self.arrow(gpu, **query).to_pandas()

    def polars(self, gpu: str, **query: Any) -> pl.DataFrame:
        """The same as a polars frame."""
        from polars import from_arrow  # noqa: PLC0415 - only who asks for such a frame needs it

        return cast("pl.DataFrame", from_arrow(self.arrow(gpu, **query)))

    def latest(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """The latest reading of each series: gpu, host, model, namespace, pod and metric say of which."""
        return self._rows("latest", filters)

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
        """One metric aggregated over the fleet; host, model, namespace and pod say over which of it."""
        query = _query([metric], start, end, step, agg) | {"by": list(by), "top": top} | filters
        return self._rows("query", query)

    def rows(self, resource: str, **query: Any) -> Iterator[dict[str, Any]]:
        """The rows of any other list: hosts, metrics, edges, sources, batches, quarantine, dead-letters, audit."""
        return self._rows(resource, query)

    def stats(self) -> dict[str, Any]:
        """How much there is of everything."""
        return self._get("stats")

    def upload(self, path: str | Path) -> Upload:
        """Send a CSV file, plain or gzip; it is safe at the centre when this returns. `wait` sees it through."""
        with Path(path).open("rb") as file:
            answer = self._http.post(f"{PREFIX}/telemetry", content=file, headers={"Content-Type": "application/octet-stream"})
        return self.progress(_checked(answer).json()["id"])

    def progress(self, upload_id: str) -> Upload:
        """How far an upload is."""
        return cast("Upload", self._get(f"uploads/{_part(upload_id)}"))

    def wait(self, upload_id: str, timeout_s: float = 600) -> Upload:
        """Wait until an upload is done. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while (found := self.progress(upload_id))["state"] != "done":
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{found['committed_bytes']} of {found['size_bytes']} bytes were committed in {timeout_s:g} s"
                )
            time.sleep(POLL_S)
        return found

    def _rows(self, resource: str, query: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        offset: int | None = 0
        while offset is not None:
            page = self._get(resource, {**query, "limit": PAGE, "offset": offset})
            yield from page["items"]
            offset = page["next_offset"]

    def _get(self, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        told = {name: _text(value) for name, value in (query or {}).items() if value is not None}
        found: dict[str, Any] = _checked(self._http.get(f"{PREFIX}/{path}", params=told)).json()
        return found


def _query(
    metrics: Sequence[str], start: Time | None, end: Time | None, step: Length | None, agg: Aggregate | None
) -> dict[str, Any]:
    query = {"metric": list(metrics), "start_time": start, "end_time": end, "step": step, "agg": agg}
    return {name: _text(value) for name, value in query.items() if value is not None}


def _text(value: Any) -> Any:
    match value:
        case datetime():
            if value.tzinfo is None:
                raise ValueError(f"{value} has no zone; give it one, such as datetime.UTC")
            return value.isoformat()
        case timedelta():
            return f"{int(value.total_seconds())}s"
    return value


def _part(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    problem = "application/problem+json" in answer.headers.get("Content-Type", "")
    raise ApiError(answer.status_code, answer.json() if problem else {"detail": answer.reason_phrase})
