"""Errors as problem documents (RFC 9457): what went wrong, where, and how to mend it; of our own faults nothing."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, Literal

import psycopg
import sqlalchemy.exc
from flask import Flask, Response, g, json
from pydantic import BaseModel, Field
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, TooManyRequests

log = logging.getLogger(__name__)

# Every code there is: it never changes its meaning. The specification and the page on the API list them from here.
CODES: dict[str, tuple[int, str]] = {
    "bad_request": (400, "the request cannot be read"),
    "bad_parameter": (400, "a query parameter is unknown, missing, given twice, or cannot be used"),
    "unauthorized": (401, "no API key was sent, or one that is unknown, expired or revoked"),
    "forbidden": (403, "the API key lacks the scope that this takes"),
    "not_found": (404, "no such path"),
    "gpu_not_found": (404, "no GPU has this UUID or host:index"),
    "host_not_found": (404, "no GPU was seen on a host of this name"),
    "metric_not_found": (404, "no reading had this metric"),
    "upload_not_found": (404, "no upload has this id"),
    "method_not_allowed": (405, "the path is there, but not with this method"),
    "not_acceptable": (406, "Accept names no format that this can be answered in"),
    "upload_too_large": (413, "the upload is larger than TELEMETRY_UPLOAD_MAX_BYTES, or becomes so when it is unpacked"),
    "uri_too_long": (414, "the address is too long"),
    "unsupported_media": (415, "an upload must be CSV, raw or as the file of a form"),
    "unreadable_upload": (422, "the upload is no CSV with a known header and a row, or no whole gzip"),
    "out_of_range": (422, "an aggregate, or a time, is larger than the database can hold"),
    "query_too_large": (422, "the query is more than the database can take at once"),
    "too_many_series": (422, "more series than a live stream carries; a filter makes them fewer"),
    "too_many_requests": (429, "more requests than TELEMETRY_API_RATE_LIMIT; Retry-After says when the next may come"),
    "internal_error": (500, "our fault; the log has it"),
    "uploads_off": (501, "uploads are not set up here: TELEMETRY_UPLOADS is false"),
    "query_timeout": (503, "the query took too long"),
    "database_unavailable": (503, "the database cannot be reached, or a table stayed locked for 3 s"),
    "database_exhausted": (503, "the database is out of memory, disk or connections"),
    "too_many_streams": (503, "as many live streams and exports as the server carries are open"),
    "spool_full": (507, "the spool directory is full"),
}
# When to try again after those that pass by themselves, in seconds.
RETRY_AFTER_S = {"too_many_streams": 5, "database_unavailable": 5, "database_exhausted": 10}
OF_STATUS = {
    404: "not_found",
    405: "method_not_allowed",
    413: "upload_too_large",
    414: "uri_too_long",
    429: "too_many_requests",
}


# By the class of an SQLSTATE: data, resources, limits of the program.
OF_CLASS = {"22": "out_of_range", "53": "database_exhausted", "54": "query_too_large"}
MENDS = {
    "query_timeout": "the query took too long; ask for a shorter time or fewer metrics",
    "out_of_range": "a value is out of range, such as the sum of very large readings; leave those out by time, GPU or metric, "
    "or take min, max, last or a percentile",
    "query_too_large": "the query is more than the database can take at once; ask for a shorter time or fewer groups",
    "database_exhausted": "the database is out of memory, disk or connections now; try again later",
    "database_unavailable": "the database cannot be reached now; try again later",
}


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
    """An answer that is an error: one of CODES. `parameter` is the one at fault."""

    def __init__(self, code: str, detail: str, parameter: str | None = None) -> None:
        super().__init__(detail)
        self.status = CODES[code][0]
        self.code = code
        self.detail = detail
        self.parameter = parameter


def bad_parameter(parameter: str, detail: str) -> ProblemError:
    """A query parameter that cannot be used."""
    return ProblemError("bad_parameter", detail, parameter)


def install(app: Flask) -> None:
    """Turn every error into a problem document."""
    app.register_error_handler(ProblemError, _problem)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(sqlalchemy.exc.DBAPIError, _database)
    app.register_error_handler(sqlalchemy.exc.TimeoutError, _database)
    # Those of a stream's first rows, which come by the driver itself.
    app.register_error_handler(psycopg.Error, _database)
    app.register_error_handler(Exception, _unexpected)


def _document(status: int, code: str, detail: str, parameter: str | None = None) -> Response:
    body: dict[str, Any] = {
        "type": "about:blank",
        # Of about:blank the title is the status' own (RFC 9457, 4.2.1); what happened is told by the code.
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": g.get("request_id"),
    }
    if parameter is not None:
        body["parameter"] = parameter
    made = Response(json.dumps(body), status, content_type="application/problem+json")
    if code in RETRY_AFTER_S:
        made.headers["Retry-After"] = str(RETRY_AFTER_S[code])
    return made


def _problem(error: ProblemError) -> Response:
    response = _document(error.status, error.code, error.detail, error.parameter)
    if error.code == "unauthorized":
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    made = _document(status, OF_STATUS.get(status, "bad_request"), _mend(error))
    # Such as Allow, which RFC 9110 asks of a 405.
    for name, value in error.get_headers():
        if name.lower() != "content-type":
            made.headers.setdefault(name, value)
    return made


def _mend(error: HTTPException) -> str:
    match error:
        case TooManyRequests():
            return f"{error.description} are allowed; wait as long as Retry-After says"
        case NotFound():
            return "nothing is at this path; GET / lists the resources"
        case MethodNotAllowed(valid_methods=allowed) if allowed:
            return f"this resource answers only {', '.join(sorted(allowed))}"
    return error.description or error.name


def _database(error: Exception) -> Response:
    cause = getattr(error, "orig", None) or error
    code = code_of(cause)
    if code is None:
        return _unexpected(error)
    if CODES[code][0] >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("database: %s", str(cause).partition("\n")[0])
    return _document(CODES[code][0], code, MENDS[code])


def code_of(error: BaseException) -> str | None:
    """The code of what the database said, by its SQLSTATE or by the kind of error; None if it is our fault."""
    state = getattr(error, "sqlstate", None) or ""
    if state == psycopg.errors.QueryCanceled.sqlstate:
        return "query_timeout"
    if state[:2] in OF_CLASS:
        return OF_CLASS[state[:2]]
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | sqlalchemy.exc.TimeoutError):
        return "database_unavailable"
    return None


def _unexpected(error: Exception) -> Response:
    log.error("request %s failed", g.get("request_id"), exc_info=error)
    return _document(500, "internal_error", "something went wrong here; the log has it under this request_id")
