"""HTTP with the API: requests that are sent again while the server is busy or away, pages that follow each other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO, TypeVar

import httpx

from telemetry.client.errors import ApiError, NetworkError
from telemetry.client.queries import written

T = TypeVar("T")

PAGE_ROWS = 1000
PREFIX = "/api/v1"
# How often a refused request is sent again, and the longest wait before that.
RETRIES = 3
MAX_WAIT_S = 60.0
BUSY = {429, 503}
# How often a question is asked again that the network broke off, and the wait before the first time; it doubles.
NETWORK_RETRIES = 2
NETWORK_WAIT_S = 0.5
# Nothing was sent yet, so even an upload may be tried again.
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout)


class Session:
    """Connections to the API at one address. Raises ValueError for an address that is none of http or https."""

    def __init__(self, base_url: str, key: str | None, timeout_s: float, transport: httpx.BaseTransport | None) -> None:
        self.address = base_url.rstrip("/").removesuffix(PREFIX)
        if not self.address.startswith(("http://", "https://")):
            raise ValueError(
                f"the address must begin with http:// or https://, such as http://127.0.0.1:8080, not {base_url!r}"
            )
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # As the last answer said it.
        self.server_time: datetime | None = None
        self._http = httpx.Client(base_url=self.address, headers=headers, timeout=timeout_s, transport=transport)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object at a path. Raises ApiError and NetworkError."""
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
        """A whole response. Raises ApiError and NetworkError."""

        def ask() -> httpx.Response:
            with self.stream(path, query, method, file) as response:
                response.read()
            return response

        return self.again(ask, harmless=method == "GET")

    def again(self, ask: Callable[[], T], *, harmless: bool = True) -> T:
        """What a function returns, called again if the network failed, NETWORK_RETRIES times at most.

        If it is not harmless to do twice, then only where nothing was sent. Raises NetworkError.
        """
        for attempt in range(NETWORK_RETRIES):
            try:
                return ask()
            except NetworkError as error:
                if not harmless and not isinstance(error.__cause__, UNSENT):
                    raise
            time.sleep(NETWORK_WAIT_S * 2**attempt)
        return ask()

    @contextmanager
    def stream(
        self, path: str, query: Mapping[str, Any], method: str = "GET", file: BinaryIO | None = None
    ) -> Iterator[httpx.Response]:
        """A response whose body is not read yet. Raises ApiError and NetworkError, also while the body is read."""
        headers = {"Content-Type": "application/octet-stream"} if file else {}
        url, parameters = f"{PREFIX}/{path}", written(query)
        for attempt in range(RETRIES + 1):
            if file:
                file.seek(0)
            try:
                with self._http.stream(method, url, params=parameters, content=file, headers=headers) as response:
                    self._note_time(response)
                    if response.is_success:
                        yield response
                        return
                    response.read()
                    wait_s = _wait_s(response)
                    if wait_s is None or attempt == RETRIES:
                        raise ApiError.of(response)
            except httpx.RequestError as error:
                raise NetworkError(f"{self.address}{url}", error) from error
            time.sleep(wait_s)

    def _note_time(self, response: httpx.Response) -> None:
        with suppress(ValueError):
            self.server_time = parsedate_to_datetime(response.headers.get("Date", ""))


def _wait_s(response: httpx.Response) -> float | None:
    """How long to wait before the request is sent again; None if that would not help."""
    after = response.headers.get("Retry-After", "")
    if response.status_code not in BUSY or not after.isdigit() or float(after) > MAX_WAIT_S:
        return None
    return float(after)
