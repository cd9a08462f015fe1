"""`POST /telemetry` and `/uploads/{id}`: a file is sent, and how far it is, until all of it is committed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from secrets import token_hex
from time import monotonic
from typing import Any, Literal

import redis
from flask import Blueprint, Response, request, url_for
from pydantic import BaseModel

from telemetry.api.answers import encodings
from telemetry.api.core import deadlines, lookups
from telemetry.api.core.connections import connections, primary
from telemetry.api.core.problems import ProblemError
from telemetry.api.core.queries import Query
from telemetry.api.guards import access
from telemetry.api.intake import forms, places, spool
from telemetry.api.intake.unpacking import PIECE_BYTES
from telemetry.api.operations import operation
from telemetry.progress import reading
from telemetry.progress.keys import Keys
from telemetry.progress.state import StateError
from telemetry.readings.digests import source_id
from telemetry.store import uploads
from telemetry.store.read.uploads import progress

RAW = ("text/csv", "application/gzip", "application/x-gzip", "application/octet-stream")
FORM = "multipart/form-data"
CODES = (
    *("uploads_off", "upload_too_large", "upload_too_slow", "unsupported_media", "unreadable_upload", "spool_full"),
    "too_many_uploads",
)
BODY = {
    "required": True,
    "description": "CSV, plain or gzip, as the body itself or as the field `file` of a form",
    "content": {
        **{media: {"schema": {"type": "string", "format": "binary"}} for media in RAW},
        FORM: {
            "schema": {
                "type": "object",
                "properties": {"file": {"type": "string", "format": "binary"}},
                "required": ["file"],
            }
        },
    },
}

blueprint = Blueprint("uploads", __name__)


class Accepted(BaseModel):
    """An upload that is safe on disk. `url` tells how far it is."""

    id: str
    url: str
    size_bytes: int


class Upload(BaseModel):
    """How far an upload is. `done`: every row is committed; `removed`: its file went before that, and nobody can read the rest.

    `rows` and the classes below it count the batches that this upload was the first to bring. Rows that an earlier upload had
    brought count in `rows_read` alone.
    """

    id: str
    state: Literal["waiting", "reading", "done", "removed"]
    uploaded_at: datetime
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
    expired: int


@operation(blueprint, "/telemetry", Accepted, Query, method="POST", status=202, scope="ingest", codes=CODES, body=BODY)
def upload_telemetry(_: Query) -> Response:
    """Send a CSV file. The answer comes when the file is safe on disk; a streamer reads it from there.

    Sending the same file again stores nothing twice.
    """
    settings = connections().settings
    if not settings.uploads:
        raise ProblemError("uploads_off", "no streamer reads uploads here; send the file to an edge, or run telemetry ingest")
    upload_id = token_hex(16)
    with places.place():
        spooled = spool.write(_sent_pieces(), f"{upload_id}.csv", settings)
    upload = uploads.NewUpload(upload_id, spooled.path.name, spooled.fingerprint, spooled.start, spooled.size)
    try:
        with connections().engine.begin() as connection:
            uploads.add(connection, upload, access.actor())
        spooled.publish()
    except BaseException:
        spooled.discard()
        raise
    url = url_for("uploads.show_upload", upload=upload_id)
    body = encodings.json({"id": upload_id, "url": url, "size_bytes": spooled.size})
    return Response(body, 202, mimetype="application/json", headers={"Location": url})


@operation(blueprint, "/uploads/<upload>", Upload, Query, scope="ingest", codes=("upload_not_found",))
def show_upload(_: Query, upload: str) -> dict[str, Any]:
    """How far an upload is."""
    # A replica may not have the upload yet, nor the rows that the broker says are committed.
    row = lookups.row(progress(upload, spool.EDGE), upload, "upload_not_found", by=primary)
    path = spool.path(row["name"], connections().settings)
    read = _read(source_id(row["fingerprint"], str(path)))
    # While the streamer has reported nothing, only the ledger knows.
    committed, rows_read = read or (row["start_bytes"] + row["covered_bytes"] if row["covered_bytes"] else 0, row["rows"])
    if committed >= row["size_bytes"]:
        state = "done"
    elif read is None and not path.exists():
        state = "removed"
    else:
        state = "reading" if committed else "waiting"
    document = {**row, "state": state, "committed_bytes": committed, "rows_read": rows_read}
    return {name: document[name] for name in Upload.model_fields}


def _read(name: str) -> tuple[int, int] | None:
    """How many bytes of a source are committed, and how many rows of it are read, as its streamer says."""
    keys, amounts = Keys(connections().settings.key_prefix), list[tuple[int, int]]()
    for client in connections().patient_brokers.values():
        with suppress(redis.RedisError, OSError, StateError):
            if state := reading.source(client, keys, spool.EDGE, name):
                amounts.append((state.window.committed, state.rows_read))
    return max(amounts, default=None)


def _sent_pieces() -> Iterator[bytes]:
    """The file that was sent, in pieces. Flask itself breaks off a body that is longer than an upload may be."""
    request.max_content_length = connections().settings.upload_max_bytes
    # The server's own socket has no time limit, so a sender who stands still would keep the thread for ever.
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:
        connection.settimeout(deadlines.STALL_S)
    pieces = _timely(iter(lambda: request.stream.read(PIECE_BYTES), b""))
    if request.mimetype in RAW:
        return pieces
    if request.mimetype != FORM:
        raise ProblemError("unsupported_media", f"send the file as {', '.join(RAW[:2])} or as the field `file` of a form")
    return forms.file_of(pieces, request.mimetype_params.get("boundary", ""))


def _timely(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces, for UPLOAD_S at most. Raises ProblemError."""
    until = monotonic() + deadlines.UPLOAD_S
    for piece in pieces:
        yield piece
        if monotonic() > until:
            raise ProblemError("upload_too_slow", f"the upload took more than {deadlines.UPLOAD_S} s; send it in parts")
