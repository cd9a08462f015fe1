"""The codes of everything that can go wrong: each with its HTTP status, and never with another meaning than today's.

The specification and docs/API_SPECIFICATION.md list them from here.
"""

from __future__ import annotations

import psycopg
import sqlalchemy.exc

CODES: dict[str, tuple[int, str]] = {
    "bad_request": (400, "the request cannot be read"),
    "bad_parameter": (400, "a query parameter is unknown, missing, given twice, or has a value that cannot be used"),
    "unauthorized": (401, "no API key was sent, or one that is unknown, expired or revoked"),
    "forbidden": (403, "the API key lacks the scope that this operation needs, or is bound to namespaces and may not ask this"),
    "not_found": (404, "there is no such path"),
    "gpu_not_found": (404, "no GPU has this UUID or host:index"),
    "host_not_found": (404, "no GPU was ever seen on a host of this name"),
    "metric_not_found": (404, "no reading ever had this metric"),
    "dead_letter_not_found": (404, "no dead letter has this number"),
    "upload_not_found": (404, "no upload has this id"),
    "dead_letter_without_batch": (409, "the dead letter does not name a batch of an edge, so a collector cannot store it"),
    "dead_letter_unreadable": (409, "what is kept of the dead letter is no message that a collector could store"),
    "method_not_allowed": (405, "the path exists, but not with this method"),
    "not_acceptable": (406, "none of the formats that Accept names is available"),
    "upload_too_slow": (408, "the upload did not come within half an hour"),
    "upload_too_large": (413, "the upload is larger than TELEMETRY_UPLOAD_MAX_BYTES, as sent or once unpacked"),
    "uri_too_long": (414, "the address is too long"),
    "unsupported_media": (415, "an upload must be CSV, sent as the body or as the field `file` of a form"),
    "unreadable_upload": (422, "the upload is not a CSV file with a known header and a row, or its gzip is damaged"),
    "out_of_range": (422, "an aggregate, or a time, is larger than the database can hold"),
    "query_too_large": (422, "the query is larger than the database can process at once"),
    "too_many_series": (422, "a live stream carries fewer series; narrow the filter"),
    "too_many_requests": (429, "more requests than TELEMETRY_API_RATE_LIMIT allows; Retry-After says when to send the next"),
    "internal_error": (500, "a fault of the server; its log has the details"),
    "uploads_off": (501, "uploads are switched off here: TELEMETRY_UPLOADS is false"),
    "query_timeout": (503, "the query took too long"),
    "database_unavailable": (503, "the database cannot be reached, or a table stayed locked for 3 s"),
    "database_exhausted": (503, "the database is out of memory, disk or connections"),
    "broker_unavailable": (503, "the broker has not taken a message"),
    "too_many_streams": (503, "the server has as many live streams and exports open as it can carry"),
    "too_many_uploads": (503, "the server takes as many uploads as it can carry"),
    "spool_full": (507, "the spool directory is full"),
}
# When to try again, in seconds, where the problem passes by itself.
RETRY_AFTER_S = {
    "too_many_streams": 5,
    "too_many_uploads": 5,
    "database_unavailable": 5,
    "database_exhausted": 10,
    "broker_unavailable": 5,
}
OF_STATUS = {
    404: "not_found",
    405: "method_not_allowed",
    413: "upload_too_large",
    414: "uri_too_long",
    429: "too_many_requests",
}
# By the class of an SQLSTATE: data exceptions, insufficient resources, program limits.
OF_SQLSTATE_CLASS = {"22": "out_of_range", "53": "database_exhausted", "54": "query_too_large"}
# What to do about those that the database causes.
DATABASE_DETAILS = {
    "query_timeout": "the query took too long; ask for a shorter time or fewer metrics",
    "out_of_range": "a value is out of range, such as the sum of very large readings; exclude those by time, GPU or metric, "
    "or ask for min, max, last or a percentile instead",
    "query_too_large": "the query is larger than the database can process at once; ask for a shorter time or fewer groups",
    "database_exhausted": "the database is out of memory, disk or connections at the moment; try again later",
    "database_unavailable": "the database cannot be reached, or does not answer, at the moment; try again later",
}


def of_database_error(error: BaseException) -> str | None:
    """The code of an error of the database, by its SQLSTATE or its type; None if the fault is ours."""
    state = getattr(error, "sqlstate", None) or ""
    if state == psycopg.errors.QueryCanceled.sqlstate:
        return "query_timeout"
    if state[:2] in OF_SQLSTATE_CLASS:
        return OF_SQLSTATE_CLASS[state[:2]]
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | sqlalchemy.exc.TimeoutError):
        return "database_unavailable"
    return None
