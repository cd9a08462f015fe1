"""Pages: which rows a request asks for, and how many of them are read."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.datastructures import MIMEAccept

from telemetry.api.answers import cursors
from telemetry.api.answers.cursors import Question
from telemetry.api.answers.pages import Page
from telemetry.api.core.problems import ProblemError
from telemetry.api.core.queries import Followed, Tabular

QUESTION = Question("gpus")
ANYTHING = MIMEAccept()


def tabular(**given: Any) -> Tabular:
    return Tabular.model_validate(given)


def followed(**given: Any) -> Followed:
    return Followed.model_validate(given)


def test_json_reads_one_row_more_than_it_shows_and_other_formats_all() -> None:
    page = Page.of(tabular(), QUESTION, ANYTHING)
    assert (page.encoding, page.size, page.rows, page.rows_needed) == ("json", 100, 101, 101)
    page = Page.of(tabular(format="csv"), QUESTION, ANYTHING)
    assert (page.rows, page.rows_needed) == (None, None)
    page = Page.of(tabular(format="csv", limit=7, offset=3), QUESTION, ANYTHING)
    assert (page.rows, page.rows_needed) == (7, 10)


@pytest.mark.parametrize(
    ("query", "limit", "offset"),
    [
        (tabular(limit=7, offset=3), 7, 3),
        (tabular(page_size=7, page=3), 7, 14),
        (tabular(page=3), 100, 200),
        (tabular(offset=3), None, 3),
    ],
)
def test_a_page_is_a_limit_and_an_offset(query: Tabular, limit: int | None, offset: int) -> None:
    page = Page.of(query, QUESTION, ANYTHING)
    assert (page.limit, page.offset) == (limit, offset)


def test_accept_chooses_the_format_unless_the_query_does() -> None:
    accept = MIMEAccept([("text/csv", 1)])
    assert Page.of(tabular(), QUESTION, accept).encoding == "csv"
    assert Page.of(tabular(format="ndjson"), QUESTION, accept).encoding == "ndjson"
    with pytest.raises(ProblemError, match="can be answered as application/json"):
        Page.of(tabular(), QUESTION, MIMEAccept([("image/png", 1)]))


def test_a_page_begins_after_the_place_of_its_cursor() -> None:
    ends = {"id": cursors.whole}
    about = Page.of(followed(), QUESTION, ANYTHING).about("GPU-1")
    assert about.after(ends) is None
    cursor = cursors.write([5], about.question)
    assert Page.of(followed(cursor=cursor), QUESTION, ANYTHING).about("GPU-1").after(ends) == (5,)
    with pytest.raises(ProblemError, match="another question"):
        Page.of(followed(cursor=cursor), QUESTION, ANYTHING).after(ends)
