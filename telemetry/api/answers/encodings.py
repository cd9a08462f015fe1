"""The formats of answers: their media types, which of them a request wants, and those that are made of JSON.

Rows come in pieces, so that an answer of any length takes the same memory. Arrow and Parquet are in `columnar`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

import orjson
from werkzeug.datastructures import MIMEAccept

from telemetry.api.core.parameters import Encoding
from telemetry.api.core.problems import ProblemError

MEDIA: dict[Encoding, str] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}
OF_MEDIA = {media: encoding for encoding, media in MEDIA.items()}


def chosen(named: Encoding | None, accept: MIMEAccept) -> Encoding:
    """The format of an answer: the one named, or the one that Accept prefers. Raises ProblemError if Accept allows none."""
    if named is not None:
        return named
    if not accept:
        return "json"
    media = accept.best_match(MEDIA.values())
    if media is None:
        raise ProblemError("not_acceptable", f"this can be answered as {', '.join(MEDIA.values())}; name one of them in Accept")
    return OF_MEDIA[media]


def json(value: Any) -> bytes:
    """A value as JSON. Times are RFC 3339 in UTC ; a number that JSON cannot write, such as NaN, is null."""
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)


def ndjson(pieces: Iterable[list[dict[str, Any]]]) -> Generator[bytes]:
    """A line of JSON for each row."""
    for rows in pieces:
        yield b"".join([orjson.dumps(row, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE) for row in rows])
