"""Parameters that go together, or do not: so for every list, however its parameters are put together."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from werkzeug.datastructures import MultiDict

from telemetry.api.core.problems import ProblemError
from telemetry.api.core.queries import Query, Spanned, Tabular, read
from telemetry.api.resources import batches, fleet, gpus, latest, quarantine, readings, sources  # noqa: F401 - each has lists


def kinds(of: type[Query]) -> Iterator[type[Query]]:
    yield of
    for each in of.__subclasses__():
        yield from kinds(each)


def refused(kind: type[Query], **given: str) -> str | None:
    needed = {name: "x" for name, field in kind.model_fields.items() if field.is_required()}
    with pytest.raises(ProblemError) as refusal:
        read(kind, MultiDict(needed | given))
    return refusal.value.parameter


@pytest.mark.parametrize("kind", list(kinds(Tabular)))
def test_a_page_is_told_in_one_way(kind: type[Tabular]) -> None:
    assert refused(kind, limit="5", page_size="10") == "page_size"
    assert refused(kind, page="2", offset="7") == "page"
    if "cursor" in kind.model_fields:
        assert refused(kind, cursor="x", offset="7") == "cursor"
        assert refused(kind, cursor="x", page="2") == "cursor"


@pytest.mark.parametrize("kind", list(kinds(Spanned)))
def test_a_span_begins_before_it_ends(kind: type[Spanned]) -> None:
    assert refused(kind, start_time="now", end_time="-1h") == "start_time"
