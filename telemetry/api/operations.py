"""Operations: what a request may ask and what it is answered, declared once beside each view.

This module owns the order in which a request is served: who asks, then the query, then the view, then the answer. It alone
gives the request's database connection back. The specification is made of the same declarations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from flask import Blueprint, Response, request
from pydantic import BaseModel

from telemetry.api.answers import common, encodings, indented, streams, tables
from telemetry.api.answers.cursors import Question
from telemetry.api.answers.pages import Listed, Page
from telemetry.api.answers.streams import Stream
from telemetry.api.answers.tables import Table
from telemetry.api.core.connections import connections, database, give_back
from telemetry.api.core.queries import Query, Tabular, read
from telemetry.api.guards import access
from telemetry.api.guards.access import Scope

P = ParamSpec("P")
Q = TypeVar("Q", bound=Query)
T = TypeVar("T", bound=Tabular)
JSON = encodings.MEDIA["json"]
# A JSON document may have a status of its own.
Answer = Table | Stream | Response | Mapping[str, Any] | tuple[Mapping[str, Any], int]


@dataclass(frozen=True, slots=True)
class Operation:
    """What the specification says of a view. `answers` are the JSON documents, by status."""

    name: str
    about: str
    query: type[Query]
    answers: Mapping[int, type[BaseModel]]
    scope: Scope | None
    codes: tuple[str, ...]
    media: tuple[str, ...]
    body: Mapping[str, Any] | None

    @property
    def is_list(self) -> bool:
        """Whether it answers a list, which has other formats too."""
        return any(issubclass(answer, Listed) for answer in self.answers.values())


def operation(
    blueprint: Blueprint,
    rule: str,
    answer: type[BaseModel],
    query: type[Q],
    *,
    method: Literal["GET", "POST"] = "GET",
    status: int = 200,
    scope: Scope | None = "read",
    codes: tuple[str, ...] = (),
    others: Mapping[int, type[BaseModel]] | None = None,
    media: tuple[str, ...] = (JSON,),
    body: Mapping[str, Any] | None = None,
    lasts_s: float = 0,
) -> Callable[[Callable[Concatenate[Q, P], Answer]], Callable[P, Response]]:
    """Serve a view at a rule. The view gets its query and what the rule names.

    An answer in JSON that `lasts_s` is given to all who ask the same within that time (`answers.common`).
    """

    def declare(view: Callable[Concatenate[Q, P], Answer]) -> Callable[P, Response]:
        @wraps(view)
        def run(*args: P.args, **names: P.kwargs) -> Response:
            try:
                access.require(scope)
                if body is not None:
                    # Its sender may be slow.
                    give_back()
                given = indented.without(request.args) if JSON in media else request.args
                if lasts_s and common.is_shared():
                    return common.response(lasts_s, lambda: _body(view(read(query, given), *args, **names), status))
                result = view(read(query, given), *args, **names)
                response = _whole(result, status)
            finally:
                give_back()
            return _streamed(result) if response is None else response

        answers = {status: answer, **(others or {})}
        name, about = view.__name__, view.__doc__ or ""
        run.operation = Operation(name, about, query, answers, scope, codes, media, body)  # type: ignore[attr-defined]
        blueprint.add_url_rule(rule, view_func=run, methods=[method])
        return run

    return declare


def listing(
    blueprint: Blueprint,
    rule: str,
    answer: type[Listed[Any]],
    query: type[T],
    *,
    scope: Scope = "read",
    codes: tuple[str, ...] = (),
    lasts_s: float = 0,
) -> Callable[[Callable[Concatenate[T, Page, P], Table]], Callable[P, Response]]:
    """Serve a view that answers a table. The view gets its query, the page that is asked for, and what the rule names."""

    def declare(view: Callable[Concatenate[T, Page, P], Table]) -> Callable[P, Response]:
        @wraps(view)
        def paged(asked: T, /, *args: P.args, **names: P.kwargs) -> Answer:
            question = Question.of(request.endpoint or "", request.args)
            return view(asked, Page.of(asked, question, request.accept_mimetypes), *args, **names)

        return operation(blueprint, rule, answer, query, scope=scope, codes=codes, lasts_s=lasts_s)(paged)

    return declare


def _whole(result: Answer, status: int) -> Response | None:
    """The answer, if it needs no longer than the request's connection is held; None for what is streamed."""
    match result:
        case Response():
            return result
        case Stream():
            return None
        case Table():
            if result.page.encoding != "json":
                return None
            document: Mapping[str, Any] = tables.document(result, database())
        case (document, status):
            pass
        case _:
            document = result
    return Response(encodings.json(document), status, mimetype=JSON)


def _body(result: Answer, status: int) -> bytes:
    """What is kept for others. Raises TypeError for a stream."""
    response = _whole(result, status)
    if response is None:
        raise TypeError("a stream is of one reader")
    return response.get_data()


def _streamed(result: Answer) -> Response:
    match result:
        case Stream():
            return streams.response(result)
        case Table():
            return tables.export(result, connections().reading, request.path.strip("/").replace("/", "-"))
    raise TypeError("only tables and streams are streamed")
