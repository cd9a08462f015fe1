"""What can go wrong: the API refuses, or it cannot be reached. Both are a ClientError."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx


class ClientError(Exception):
    """The API did not answer what was asked."""


class ApiError(ClientError):
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


class NetworkError(ClientError):
    """The API at `url` could not be reached, or the connection broke off. The cause is httpx's own error."""

    def __init__(self, url: str, cause: Exception) -> None:
        self.url = url
        super().__init__(f"no answer from {url}: {str(cause) or type(cause).__name__}")
