"""Cursors: where a page ended, as text that a reader gives back. A cursor belongs to one question and is refused by others.

What a place is, and how to go on after it, is known to each list and to `telemetry.store`.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, TypeVar

import orjson
from flask import request

from telemetry.api.core.problems import bad_parameter

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What may change from page to page.
APART = {"cursor", "limit", "offset", "page", "page_size", "format"}

T = TypeVar("T")


def write(place: Sequence[Any], about: str = "") -> str:
    """The cursor of a place in the answer to this request, about something that its path may name in several ways."""
    return _text([_question(about), *(_micros(each) if isinstance(each, datetime) else each for each in place)])


def read(cursor: str | None, kind: Callable[..., T], about: str = "") -> T | None:
    """The place of a cursor, as `kind` takes it; None without one. Raises ProblemError for one of another question."""
    if cursor is None:
        return None
    try:
        question, *place = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        found = kind(*place)
    except (ValueError, TypeError, OverflowError, binascii.Error):
        raise bad_parameter("cursor", "cursor must be the next_cursor of a page before") from None
    if question != _question(about):
        mend = "this cursor belongs to another question: ask with the parameters of the page it came with, limit apart"
        raise bad_parameter("cursor", mend)
    return found


def moment(micros: Any) -> datetime:
    """A time of a place. Raises TypeError, ValueError or OverflowError."""
    return EPOCH + timedelta(microseconds=whole(micros))


def whole(number: Any) -> int:
    """A number of a place. Raises TypeError or ValueError."""
    if not isinstance(number, int) or abs(number) >= 1 << 63:
        raise ValueError
    return number


def name(text: Any) -> str:
    """A name of a place. Raises TypeError or ValueError."""
    if not isinstance(text, str) or "\0" in text:
        raise ValueError
    return text


def _micros(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)


def _question(about: str) -> str:
    """The request's question, in short: as it was written, for a relative time means another at each request."""
    told = sorted((key, value) for key, value in request.args.items(multi=True) if key not in APART)
    return sha256(orjson.dumps([request.endpoint, about, told])).hexdigest()[:12]


def _text(place: list[Any]) -> str:
    return urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")
