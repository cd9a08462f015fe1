"""The client of one address: what it asks for as lists and tables, and uploads. All methods raise ApiError and NetworkError."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import httpx

from telemetry.client.documents import Upload
from telemetry.client.resources import part
from telemetry.client.session import Session
from telemetry.client.tables import Tables

POLL_S = 0.5
URL, KEY = "TELEMETRY_API_URL", "TELEMETRY_API_KEY"


class Client(Tables):
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
        super().__init__(Session(address, key or environ.get(KEY), timeout_s, transport))

    def __repr__(self) -> str:
        return f"Client({self._session.address!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

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
