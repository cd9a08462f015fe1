"""Queries: the parameters of one operation, read from a request.

A parameter that is unknown, given twice or cannot be used is refused by its name, never ignored.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from werkzeug.datastructures import MultiDict

from telemetry.api.core.parameter_schemas import in_words, parameter_schema
from telemetry.api.core.parameters import MAX_OFFSET, Encoding, Instant, Text, Whole
from telemetry.api.core.problems import bad_parameter
from telemetry.readings.aggregates import LABEL
from telemetry.store.read.history.selection import Span

F = TypeVar("F")
# What is read when no start is given: all of history would be sure to take too long.
RECENT = timedelta(hours=1)


class Query(BaseModel):
    """The parameters of an operation. This class itself has none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def filter(self, kind: type[F], **more: Any) -> F:
        """A filter of the store (a dataclass), whose fields have the values of the parameters of the same names, and `more`."""
        names = [field.name for field in fields(kind) if field.name not in more]  # type: ignore[arg-type]
        return kind(**{name: getattr(self, name) for name in names}, **more)


class Spanned(Query):
    """A span of time."""

    start_time: Instant | None = Field(
        None, description="first time, included: RFC 3339 with a zone, a day, Unix time, or relative as -1h"
    )
    end_time: Instant | None = Field(None, description="last time, included, in the same forms, or now")

    def model_post_init(self, context: Any) -> None:
        """Check that the ends are in order."""
        super().model_post_init(context)
        if self.start_time and self.end_time and self.start_time > self.end_time:
            raise bad_parameter("start_time", "start_time is after end_time; swap them")

    def begin(self, length: timedelta, end: datetime) -> datetime:
        """The start, or what lies so long before an end; the end itself where that is no time any more."""
        try:
            return self.start_time or end - length
        except OverflowError:
            return end

    def recent(self) -> Span:
        """The span, which begins an hour before its end, or before now, unless a start is given."""
        return Span(self.begin(RECENT, self.end_time or datetime.now(UTC)), self.end_time)


Many = tuple[Text, ...]
MAX_MANY = 50
# A list of these is not written with commas: a name may have one.
WITH_COMMAS = frozenset({"model", "label"})


def some(description: str) -> Any:
    """A parameter that may be given several times: then one of the values has to be there."""
    return Field((), max_length=MAX_MANY, description=f"{description}; of several, one of them")


class OfOwner(Query):
    """Whose GPUs: an owner is who used a GPU, to the minute."""

    namespace: Many = some("only what a pod of this namespace used")
    pod: Many = some("only what this pod used")
    job: Many = some("only what this Slurm job used")
    user: Many = some("only what this Slurm user used")
    account: Many = some("only what this Slurm account used")


class OnGpus(OfOwner):
    """On which GPUs, too."""

    host: Many = some("only of this host")
    model: Many = some("only of GPUs of this model")


class Tabular(Query):
    """A list: one page at a time in JSON, everything at once in the other formats."""

    default_limit: ClassVar[int] = 100

    limit: Whole | None = Field(None, ge=1, le=1000, description="rows at most; in JSON 100 if not given")
    offset: Whole = Field(0, ge=0, le=MAX_OFFSET, description="rows to skip before the first")
    page: Whole | None = Field(None, ge=1, le=1_000_000, description="the page, from 1; another way to give offset")
    page_size: Whole | None = Field(None, ge=1, le=1000, description="rows of a page; another way to give limit")
    format: Encoding | None = Field(None, description="the format of the answer, whatever Accept says")

    def model_post_init(self, context: Any) -> None:
        """Check that the page is given in one way."""
        super().model_post_init(context)
        if self.page_size and self.limit:
            raise bad_parameter("page_size", "page_size and limit mean the same; give only one")
        if self.page and "offset" in self.model_fields_set:
            raise bad_parameter("page", "page and offset mean the same; give only one")


class Followed(Tabular):
    """A list that changes while it is read. A cursor goes on where a page ended, whatever came and went since."""

    cursor: Text | None = Field(None, description="next_cursor of the page before; this page begins where that one ended")

    def model_post_init(self, context: Any) -> None:
        """Check that the page begins at one place."""
        super().model_post_init(context)
        if self.cursor and (self.offset or self.page):
            raise bad_parameter("cursor", "cursor says where the page begins; leave out offset and page")


Q = TypeVar("Q", bound=Query)


def read(kind: type[Q], given: MultiDict[str, str]) -> Q:
    """The parameters of a request. Raises ProblemError, which names the one at fault and what it must be."""
    known = kind.model_fields
    raw: dict[str, Any] = {}
    for name, values in given.lists():
        if name.startswith(LABEL) and "label" in known:
            raw["label"] = [*raw.get("label", []), *(f"{name.removeprefix(LABEL)}={value}" for value in values)]
            continue
        if name not in known:
            raise bad_parameter(name, f"there is no parameter {name[:50]!r} here; there is {', '.join(known) or 'none'}")
        repeatable = get_origin(known[name].annotation) is tuple
        if len(values) > 1 and not repeatable:
            raise bad_parameter(name, f"{name} was given {len(values)} times; give it once")
        parted = values if name in WITH_COMMAS else [part for value in values for part in value.split(",")]
        raw[name] = [*raw.get(name, []), *parted] if repeatable else values[0]
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = str(fault["loc"][0])
        if fault["type"] == "missing":
            raise bad_parameter(name, f"{name} is missing; give {known[name].description}") from None
        raise bad_parameter(name, f"{name} must be {in_words(parameter_schema(kind, name))}") from None
