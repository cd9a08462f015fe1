"""Errors as problem documents (RFC 9457): what went wrong, where, and how to mend it; of our own faults nothing."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import psycopg
import sqlalchemy.exc
from flask import Flask, Response, g, json
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

log = logging.getLogger(__name__)

CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 414: "uri_too_long"}


class ProblemError(Exception):
    """An answer that is an error. `code` never changes its meaning; `parameter` is the one at fault."""

    def __init__(self, status: int, code: str, detail: str, parameter: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.parameter = parameter


def bad_parameter(parameter: str, detail: str) -> ProblemError:
    """A query parameter that cannot be used."""
    return ProblemError(400, "bad_parameter", detail, parameter)


def install(app: Flask) -> None:
    """Turn every error into a problem document."""
    app.register_error_handler(ProblemError, _problem)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(sqlalchemy.exc.OperationalError, _database)
    app.register_error_handler(sqlalchemy.exc.TimeoutError, _database)
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
    return Response(json.dumps(body), status, content_type="application/problem+json")


def _problem(error: ProblemError) -> Response:
    return _document(error.status, error.code, error.detail, error.parameter)


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    made = _document(status, CODES.get(status, "http_error"), _mend(error))
    # Such as Allow, which RFC 9110 asks of a 405.
    for name, value in error.get_headers():
        if name.lower() != "content-type":
            made.headers.setdefault(name, value)
    return made


def _mend(error: HTTPException) -> str:
    match error:
        case NotFound():
            return "nothing is at this path; GET / lists the resources"
        case MethodNotAllowed(valid_methods=allowed) if allowed:
            return f"this resource answers only {', '.join(sorted(allowed))}"
    return error.description or error.name


def _database(error: sqlalchemy.exc.SQLAlchemyError) -> Response:
    if isinstance(getattr(error, "orig", None), psycopg.errors.QueryCanceled):
        return _document(503, "query_timeout", "the query took too long; ask for a shorter time or fewer metrics")
    log.warning("database: %s", str(error).splitlines()[0])
    return _document(503, "database_unavailable", "the database cannot be reached now; try again later")


def _unexpected(error: Exception) -> Response:
    log.error("request %s failed", g.get("request_id"), exc_info=error)
    return _document(500, "internal_error", "something went wrong here; the log has it under this request_id")
