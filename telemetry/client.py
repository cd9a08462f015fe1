"""A client of the API: typed, synchronous, lists as iterators that fetch page after page, readings as Arrow or frames.

    with Client("http://127.0.0.1:8080", key="tk_…") as api:
        for gpu in api.gpus(host="node-1"):
            print(gpu["id"], api.arrow(gpu["id"], metrics=["DCGM_FI_DEV_GPU_TEMP"], start="-24h").num_rows)

What is refused because there is too much to do at the moment is asked for again, when the API says that it may be.
It needs httpx (`pip install telemetry-pipeline[client]`), and pandas or polars only for what returns their frames.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Self, TypedDict, cast
from urllib.parse import quote

import httpx
import pyarrow as pa

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

PAGE = 1000
PREFIX = "/api/v1"
POLL_S = 0.5
# How often a request is made again that was refused for now, and how long is waited for that at most.
RETRIES = 3
RETRY_WITHIN_S = 60.0
BUSY = {429, 503}
# The largest number that the API takes of a unit of time, and the units in seconds.
MOST_STEPS = 99_999
UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}

Aggregate = Literal["avg", "min", "max", "sum", "last", "count", "p50", "p95", "p99"]
Group = Literal["host", "gpu", "model", "namespace", "pod", "container"]
# A time with a zone, or a text such as -1h, now or 2025-07-18T20:42:34Z.
Time = datetime | str
Format = Literal["csv", "ndjson", "arrow", "parquet"]
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
    state: Literal["waiting", "reading", "done", "removed"]
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
        """The GPUs: host, model, driver, namespace, pod, seen_since and sort say which, and in which order; limit, how many."""
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
        limit: int | None = None,
    ) -> Iterator[Reading]:
        """The readings of one GPU in order of time, however many there are."""
        query = _query(metrics, start, end, step, agg) | {"order": order, "limit": limit}
        return cast("Iterator[Reading]", self._rows(_telemetry(gpu), query))

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
        return self.table(_telemetry(gpu), **_query(metrics, start, end, step, agg))

    def pandas(self, gpu: str, **query: Any) -> pd.DataFrame:
        """The same as a pandas frame."""
        return self.arrow(gpu, **query).to_pandas()

    def polars(self, gpu: str, **query: Any) -> pl.DataFrame:
        """The same as a polars frame."""
        from polars import from_arrow  # noqa: PLC0415 - only who asks for such a frame needs it

        return cast("pl.DataFrame", from_arrow(self.arrow(gpu, **query)))

    def table(self, resource: str, **query: Any) -> pa.Table:
        """Any list as an Arrow table, such as `table("latest", host="a")`; `.to_pandas()` and `polars.from_arrow` go on."""
        answer = self._send("GET", resource, {**query, "format": "arrow"})
        return pa.ipc.open_stream(answer.content).read_all()

    def save(self, path: str | Path, resource: str, format: Format = "csv", **query: Any) -> int:  # noqa: A002 - the API's word
        """Write any list to a file, whatever its length, in the same memory; how many bytes. It is there whole, or not."""
        whole, size = Path(path), 0
        part = whole.with_name(f".{whole.name}.part")
        try:
            with part.open("wb") as file, self._stream(resource, {**query, "format": format}) as answer:
                for piece in answer.iter_bytes():
                    size += file.write(piece)
            part.replace(whole)
        finally:
            part.unlink(missing_ok=True)
        return size

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
            answer = self._send("POST", "telemetry", {}, file)
        return self.progress(answer.json()["id"])

    def progress(self, upload_id: str) -> Upload:
        """How far an upload is."""
        return cast("Upload", self._get(f"uploads/{_part(upload_id)}"))

    def wait(self, upload_id: str, timeout_s: float = 600) -> Upload:
        """Wait until an upload is done, or its file was removed. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while (found := self.progress(upload_id))["state"] not in {"done", "removed"}:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{found['committed_bytes']} of {found['size_bytes']} bytes were committed in {timeout_s:g} s"
                )
            time.sleep(POLL_S)
        return found

    def _rows(self, resource: str, query: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The rows of all pages: by cursor where there is one, as nothing is doubled or left out then."""
        left: int | None = query.get("limit")
        asked = dict(query)
        while left is None or left > 0:
            page = self._get(resource, asked | {"limit": PAGE if left is None else min(left, PAGE)})
            yield from page["items"]
            left = None if left is None else left - len(page["items"])
            cursor, offset = page.get("next_cursor"), page["next_offset"]
            if cursor is None and offset is None:
                return
            asked.pop("offset", None)
            asked |= {"cursor": cursor} if cursor else {"offset": offset}

    def _get(self, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        found: dict[str, Any] = self._send("GET", path, query or {}).json()
        return found

    def _send(self, method: str, path: str, query: Mapping[str, Any], file: BinaryIO | None = None) -> httpx.Response:
        with self._stream(path, query, method, file) as answer:
            answer.read()
        return answer

    @contextmanager
    def _stream(
        self, path: str, query: Mapping[str, Any], method: str = "GET", file: BinaryIO | None = None
    ) -> Iterator[httpx.Response]:
        """An answer whose body is still to be read, as soon as the API has one. Raises ApiError."""
        told = {name: _text(value) for name, value in query.items() if value is not None}
        headers = {"Content-Type": "application/octet-stream"} if file else {}
        for attempt in range(RETRIES + 1):
            if file:
                file.seek(0)
            with self._http.stream(method, f"{PREFIX}/{path}", params=told, content=file, headers=headers) as answer:
                if answer.is_success:
                    yield answer
                    return
                answer.read()
                wait_s = _again_after_s(answer)
                if wait_s is None or attempt == RETRIES:
                    raise _refusal(answer)
            time.sleep(wait_s)


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
            return _length(value)
    return value


def _length(value: timedelta) -> str:
    """A length of time in the largest unit that tells it."""
    for unit, seconds in UNITS.items():
        count, rest = divmod(value, timedelta(seconds=seconds))
        if not rest and 0 < count <= MOST_STEPS:
            return f"{count}{unit}"
    raise ValueError(f"{value} cannot be told as whole seconds, minutes, hours or days, up to {MOST_STEPS} of them")


def _part(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


def _telemetry(gpu: str) -> str:
    return f"gpus/{_part(gpu)}/telemetry"


def _again_after_s(answer: httpx.Response) -> float | None:
    """How long to wait before the request is made again; None if that would not help."""
    after = answer.headers.get("Retry-After", "")
    if answer.status_code not in BUSY or not after.isdigit() or float(after) > RETRY_WITHIN_S:
        return None
    return float(after)


def _refusal(answer: httpx.Response) -> ApiError:
    problem = "application/problem+json" in answer.headers.get("Content-Type", "")
    return ApiError(answer.status_code, answer.json() if problem else {"detail": answer.reason_phrase})
