"""`POST /telemetry` and `/uploads/{id}`: a file is sent, and how far it is told until all of it is committed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from secrets import token_hex
from typing import Any, Literal

import redis
from flask import Blueprint, Response, request, url_for
from pydantic import BaseModel
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from telemetry.api.answers import encodings
from telemetry.api.core.connections import connections, database, give_back
from telemetry.api.core.parameters import Query, is_name
from telemetry.api.core.problems import ProblemError
from telemetry.api.guards import access
from telemetry.api.operations import operation
from telemetry.api.resources import spool
from telemetry.progress import reading
from telemetry.progress.keys import Keys
from telemetry.progress.state import StateError
from telemetry.readings.digests import source_id
from telemetry.store import uploads

RAW = ("text/csv", "application/gzip", "application/x-gzip", "application/octet-stream")
FORM = "multipart/form-data"
CODES = ("uploads_off", "upload_too_large", "unsupported_media", "unreadable_upload", "spool_full")
# Of what stands in a form before the file's bytes.
MAX_HEAD_BYTES = 1 << 20
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
    """An upload that is safe on disk; `url` tells how far it is."""

    id: str
    url: str
    size_bytes: int


class Upload(BaseModel):
    """How far an upload is; `done`: every row of it is committed; `removed`: its file is gone, and nobody tells the rest.

    `rows` and the classes below count its own batches.

    What an earlier upload had already is read, and known again: it adds to `rows_read` alone.
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


@operation(blueprint, "/telemetry", Accepted, Query, method="POST", status=202, scope="ingest", codes=CODES, body=BODY)
def upload_telemetry(_: Query) -> Response:
    """Send a CSV file. It is answered when it is safe on disk; a streamer reads it from there.

    To send the same file again stores nothing twice.
    """
    if not connections().settings.uploads:
        raise ProblemError("uploads_off", "no streamer reads uploads here; send the file to an edge, or run telemetry ingest")
    # A slow sender holds no connection.
    give_back()
    upload_id = token_hex(16)
    spooled = spool.write(_sent(), f"{upload_id}.csv", connections().settings)
    values: dict[str, Any] = {"id": upload_id, "name": spooled.path.name, "fingerprint": spooled.fingerprint}
    values |= {"start_bytes": spooled.start, "size_bytes": spooled.size}
    try:
        with connections().engine.begin() as connection:
            uploads.add(connection, values, access.actor())
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
    found = uploads.find(database(), upload, spool.EDGE) if is_name(upload) else None
    if found is None:
        raise ProblemError("upload_not_found", "no upload has this id; the answer to POST /api/v1/telemetry tells it")
    path = spool.path(found.pop("name"), connections().settings)
    start, covered = found.pop("start_bytes"), found.pop("covered_bytes")
    read = _read(source_id(found.pop("fingerprint"), str(path)))
    # Without the streamer's word, what the ledger has is all that is known.
    committed, found["rows_read"] = read or (start + covered if covered else 0, found["rows"])
    found["committed_bytes"] = committed
    if committed >= found["size_bytes"]:
        found["state"] = "done"
    elif read is None and not path.exists():
        found["state"] = "removed"
    else:
        found["state"] = "reading" if committed else "waiting"
    return found


def _read(name: str) -> tuple[int, int] | None:
    """How many bytes of a source are committed, and how many rows of it are read, as its streamer says."""
    where = connections()
    try:
        state = reading.source(where.broker, Keys(where.settings.key_prefix), spool.EDGE, name)
    except (redis.RedisError, OSError, StateError):
        return None
    return (state.window.committed, state.rows_read) if state else None


def _sent() -> Iterator[bytes]:
    """What was sent, in pieces. The server itself ends what is longer than an upload may be."""
    request.max_content_length = connections().settings.upload_max_bytes
    pieces = iter(lambda: request.stream.read(spool.PIECE_BYTES), b"")
    if request.mimetype in RAW:
        return pieces
    if request.mimetype != FORM:
        raise ProblemError("unsupported_media", f"send the file as {', '.join(RAW[:2])} or as the field `file` of a form")
    return _of_form(pieces, request.mimetype_params.get("boundary", ""))


def _of_form(pieces: Iterator[bytes], boundary: str) -> Iterator[bytes]:
    """The one file of a form, straight from the wire: Flask would keep a copy of it elsewhere first."""
    decoder = MultipartDecoder(boundary.encode(errors="replace"), max_form_memory_size=MAX_HEAD_BYTES)
    files = 0
    try:
        while True:
            match decoder.next_event():
                case NeedData():
                    decoder.receive_data(next(pieces, None))
                case File(name="file") if not files:
                    files += 1
                case File() | Field():
                    raise _no_form()
                case Data(data=data):
                    yield data
                case Epilogue():
                    break
    except ValueError:
        raise _no_form() from None
    if not files:
        raise _no_form()


def _no_form() -> ProblemError:
    return ProblemError("bad_request", "a form must hold one file, in the field `file`, and nothing else")
