"""Errors as problem documents (RFC 9457): what went wrong, where, and how to mend it. They reveal nothing of our own faults."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, Literal

import psycopg
import sqlalchemy.exc
from flask import Flask, Response, g, json
from pydantic import BaseModel, Field
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, TooManyRequests

from telemetry.api.core.codes import CODES, DATABASE_DETAILS, OF_STATUS, RETRY_AFTER_S, of_database_error

log = logging.getLogger(__name__)


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: Literal["about:blank"]
    title: str
    status: int
    code: str = Field(description="never changes its meaning", json_schema_extra={"enum": list(CODES)})
    detail: str = Field(description="what is wrong, and how to mend it")
    request_id: str | None
    parameter: str | None = Field(None, description="the parameter at fault")


class ProblemError(Exception):
    """Ends a request with a problem: one of CODES, and in `detail` what is wrong and how to mend it."""

    def __init__(self, code: str, detail: str, parameter: str | None = None) -> None:
        super().__init__(detail)
        self.status = CODES[code][0]
        self.code = code
        self.detail = detail
        self.parameter = parameter


def bad_parameter(parameter: str, detail: str) -> ProblemError:
    """The problem of a query parameter that cannot be used."""
    return ProblemError("bad_parameter", detail, parameter)


def install(app: Flask) -> None:
    """Answer every error of an application with a problem document."""
    app.register_error_handler(ProblemError, _problem)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(sqlalchemy.exc.DBAPIError, _database)
    app.register_error_handler(sqlalchemy.exc.TimeoutError, _database)
    # Errors at the first row of an export, which come straight from the driver.
    app.register_error_handler(psycopg.Error, _database)
    app.register_error_handler(Exception, _unexpected)


def _document(status: int, code: str, detail: str, parameter: str | None = None) -> Response:
    body: dict[str, Any] = {
        "type": "about:blank",
        # With about:blank the title is that of the status (RFC 9457, 4.2.1). The code says what happened.
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": g.get("request_id"),
    }
    if parameter is not None:
        body["parameter"] = parameter
    response = Response(json.dumps(body), status, content_type="application/problem+json")
    if code in RETRY_AFTER_S:
        response.headers["Retry-After"] = str(RETRY_AFTER_S[code])
    return response


def _problem(error: ProblemError) -> Response:
    response = _document(error.status, error.code, error.detail, error.parameter)
    if error.code == "unauthorized":
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    response = _document(status, OF_STATUS.get(status, "bad_request"), _detail(error))
    # Such as Allow, which RFC 9110 demands of a 405.
    for name, value in error.get_headers():
        if name.lower() != "content-type":
            response.headers.setdefault(name, value)
    return response


def _detail(error: HTTPException) -> str:
    match error:
        case TooManyRequests():
            return f"{error.description} are allowed; wait as long as Retry-After says"
        case NotFound():
            return "there is nothing at this path; GET / lists the resources"
        case MethodNotAllowed(valid_methods=allowed) if allowed:
            return f"this resource answers only {', '.join(sorted(allowed))}"
    return error.description or error.name


def _database(error: Exception) -> Response:
    cause = getattr(error, "orig", None) or error
    code = of_database_error(cause)
    if code is None:
        return _unexpected(error)
    status, _ = CODES[code]
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("database: %s", str(cause).partition("\n")[0])
    return _document(status, code, DATABASE_DETAILS[code])


def _unexpected(error: Exception) -> Response:
    log.error("request %s failed", g.get("request_id"), exc_info=error)
    return _document(500, "internal_error", "the server made a mistake; its log has the details under this request_id")
