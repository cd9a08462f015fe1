"""The JSON objects of the API that the client returns. A test compares them with the API's specification."""

from __future__ import annotations

from typing import Literal, TypedDict


class Gpu(TypedDict):
    """A GPU. Times are RFC 3339."""

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
