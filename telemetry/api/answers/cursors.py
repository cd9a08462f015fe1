"""Cursors: where a page ended, as text that the reader gives back. A cursor belongs to one question; others refuse it.

What a place is made of, each list declares beside itself, in the column names and the parsers of its `Ends`.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import orjson
from werkzeug.datastructures import MultiDict

from telemetry.api.core.parameters import EPOCH
from telemetry.api.core.problems import bad_parameter

# Parameters that may change from page to page.
PAGING = {"cursor", "limit", "offset", "page", "page_size", "format", "pretty"}

# The columns that say where a row is in its list, each with what parses its value in a cursor (`moment`, `whole`, `name`).
Ends = Mapping[str, Callable[[Any], Any]]


@dataclass(frozen=True, slots=True)
class Question:
    """What a request asks, whichever page: its endpoint and parameters, and the thing that its path may name in several ways.

    Parameters count as they were written, because a relative time is another time at each request.
    """

    endpoint: str
    parameters: tuple[tuple[str, str], ...] = ()
    about: str = ""

    @classmethod
    def of(cls, endpoint: str, parameters: MultiDict[str, str]) -> Question:
        """The question of a request."""
        return cls(endpoint, tuple(sorted(item for item in parameters.items(multi=True) if item[0] not in PAGING)))

    def digest(self) -> str:
        """The question in 12 characters."""
        return sha256(orjson.dumps([self.endpoint, self.about, self.parameters])).hexdigest()[:12]


def write(place: Sequence[Any], question: Question) -> str:
    """The cursor of a place in the answer to a question."""
    values = [_micros(value) if isinstance(value, datetime) else value for value in place]
    return urlsafe_b64encode(orjson.dumps([question.digest(), *values])).decode().rstrip("=")


def read(cursor: str, question: Question, ends: Ends) -> tuple[Any, ...]:
    """The place of a cursor, a value for each of `ends`. Raises ProblemError if it is damaged or of another question."""
    try:
        digest, *raw = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        place = tuple(parse(value) for parse, value in zip(ends.values(), raw, strict=True))
    except (ValueError, TypeError, OverflowError, binascii.Error):
        raise bad_parameter("cursor", "cursor must be the next_cursor of an earlier page, unchanged") from None
    if digest != question.digest():
        detail = (
            "this cursor belongs to another question; send it with the parameters of the page it came with (limit may differ)"
        )
        raise bad_parameter("cursor", detail)
    return place


def moment(micros: Any) -> datetime:
    """A time in a cursor. Raises TypeError, ValueError or OverflowError."""
    return EPOCH + timedelta(microseconds=whole(micros))


def whole(number: Any) -> int:
    """A number in a cursor, which fits a bigint. Raises ValueError."""
    if not isinstance(number, int) or abs(number) >= 1 << 63:
        raise ValueError
    return number


def name(text: Any) -> str:
    """A name in a cursor, without NUL. Raises ValueError."""
    if not isinstance(text, str) or "\0" in text:
        raise ValueError
    return text


def _micros(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)
