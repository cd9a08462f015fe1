"""Answers that many readers ask for at the same time: each is made, tagged and compressed once for all of them.

Whether a reader may have it is judged before, at each request.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from threading import Lock
from time import monotonic
from typing import NamedTuple

from flask import Flask, Request, Response, g, request

from telemetry.api.answers import encodings, indented
from telemetry.api.core.shared import shared

# An answer that takes long is kept for so many times as long, so that it does not take more than a part of a process.
TIMES = 4
# So many answers are kept compressed.
MOST = 32


class _Answer(NamedTuple):
    body: bytes
    tag: str
    took_s: float


def is_shared() -> bool:
    """Whether a request asks for JSON as it is made; other formats are streams, and JSON for people is rare."""
    named = request.args.get("format", encodings.chosen(None, request.accept_mimetypes))
    return named == "json" and indented.NAME not in request.args


def response(lasts_s: float, make: Callable[[], bytes]) -> Response:
    """The JSON that `make` returns, no older than `lasts_s`, or TIMES as long as it took. Raises what `make` raises."""
    question = ("answer", request.path, request.query_string)
    answer = shared().get(question, lasts_s, lambda: _made(make), lambda made: TIMES * made.took_s)
    g.common_tag = answer.tag
    reply = Response(answer.body, mimetype=encodings.MEDIA["json"])
    reply.set_etag(answer.tag, weak=True)
    return reply


def _made(make: Callable[[], bytes]) -> _Answer:
    begun_s = monotonic()
    body = make()
    return _Answer(body, sha256(body).hexdigest()[:32], monotonic() - begun_s)


def install(app: Flask) -> None:
    """Have Flask-Compress, once it is installed, keep what it makes of such answers."""
    app.config.update(COMPRESS_CACHE_BACKEND=_Compressed, COMPRESS_CACHE_KEY=_tag)


def _tag(_: Request) -> str:
    return str(g.get("common_tag", ""))


class _Compressed:
    """A cache as Flask-Compress wants one. Its keys are a coding and, behind a semicolon, the tag of a common answer."""

    def __init__(self) -> None:
        self._kept = OrderedDict[str, bytes]()
        self._lock = Lock()

    def get(self, key: str) -> bytes | None:
        return self._kept.get(key)

    def set(self, key: str, content: bytes) -> None:
        if key.endswith(";"):
            return
        with self._lock:
            self._kept[key] = content
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
