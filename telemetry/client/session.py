"""HTTP with the API: requests that are sent again while the server is busy, pages that follow each other, errors."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

import httpx

from telemetry.client.queries import written

PAGE_ROWS = 1000
PREFIX = "/api/v1"
# How often a refused request is sent again, and the longest wait before that.
RETRIES = 3
MAX_WAIT_S = 60.0
BUSY = {429, 503}


class ApiError(Exception):
    """The API refused. `code` never changes its meaning, `parameter` is the one at fault, `detail` says how to mend it."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.code: str = problem.get("code", "unknown")
        self.detail: str = problem.get("detail", "")
        self.parameter: str | None = problem.get("parameter")
        self.request_id: str | None = problem.get("request_id")
        super().__init__(f"{status} {self.code}: {self.detail}")

    @classmethod
    def of(cls, response: httpx.Response) -> ApiError:
        """The error of a response that was read."""
        is_problem = "application/problem+json" in response.headers.get("Content-Type", "")
        return cls(response.status_code, response.json() if is_problem else {"detail": response.reason_phrase})


class Session:
    """Connections to the API at one address."""

    def __init__(self, base_url: str, key: str | None, timeout_s: float, transport: httpx.BaseTransport | None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=timeout_s, transport=transport)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object at a path. Raises ApiError."""
        document: dict[str, Any] = self.send("GET", path, query or {}).json()
        return document

    def rows(self, path: str, query: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The rows of all pages of a list, `limit` at most. Where there are cursors, no row comes twice or is left out."""
        left: int | None = query.get("limit")
        asked = dict(query)
        while left is None or left > 0:
            page = self.get(path, asked | {"limit": PAGE_ROWS if left is None else min(left, PAGE_ROWS)})
            yield from page["items"]
            left = None if left is None else left - len(page["items"])
            cursor, offset = page.get("next_cursor"), page["next_offset"]
            if cursor is None and offset is None:
                return
            asked.pop("offset", None)
            asked |= {"cursor": cursor} if cursor else {"offset": offset}

    def send(self, method: str, path: str, query: Mapping[str, Any], file: BinaryIO | None = None) -> httpx.Response:
        """A whole response. Raises ApiError."""
        with self.stream(path, query, method, file) as response:
            response.read()
        return response

    @contextmanager
    def stream(
        self, path: str, query: Mapping[str, Any], method: str = "GET", file: BinaryIO | None = None
    ) -> Iterator[httpx.Response]:
        """A response whose body is not read yet. Raises ApiError."""
        headers = {"Content-Type": "application/octet-stream"} if file else {}
        url, parameters = f"{PREFIX}/{path}", written(query)
        for attempt in range(RETRIES + 1):
            if file:
                file.seek(0)
            with self._http.stream(method, url, params=parameters, content=file, headers=headers) as response:
                if response.is_success:
                    yield response
                    return
                response.read()
                wait_s = _wait_s(response)
                if wait_s is None or attempt == RETRIES:
                    raise ApiError.of(response)
            time.sleep(wait_s)


def _wait_s(response: httpx.Response) -> float | None:
    """How long to wait before the request is sent again; None if that would not help."""
    after = response.headers.get("Retry-After", "")
    if response.status_code not in BUSY or not after.isdigit() or float(after) > MAX_WAIT_S:
        return None
    return float(after)
