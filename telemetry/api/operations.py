"""Operations: what a request may ask and what it is answered, declared once beside each view.

This module owns the order in which a request is served: who asks, then the query, then the view, then the answer. It alone
gives the request's database connection back. The specification is made of the same declarations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

import psycopg
from flask import Blueprint, Response, g, request
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError

from telemetry.api.answers import common, encodings, indented, streams, tables
from telemetry.api.answers.cursors import Question
from telemetry.api.answers.pages import Listed, Page
from telemetry.api.answers.streams import Stream
from telemetry.api.answers.tables import Table
from telemetry.api.core.connections import by_either, connections, database, give_back, left_the_replica, primary
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
    by_namespace: bool
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
    by_namespace: bool = False,
    codes: tuple[str, ...] = (),
    others: Mapping[int, type[BaseModel]] | None = None,
    media: tuple[str, ...] = (JSON,),
    body: Mapping[str, Any] | None = None,
    lasts_s: float = 0,
) -> Callable[[Callable[Concatenate[Q, P], Answer]], Callable[P, Response]]:
    """Serve a view at a rule. The view gets its query and what the rule names.

    With `by_namespace` it is open to keys that are bound to namespaces, and keeps to `access.namespaces()`. An answer in JSON
    that `lasts_s` is given to all who ask the same within that time (`answers.common`); so it must be the same for all keys.
    """
    if by_namespace and lasts_s:
        raise ValueError("what depends on the key is not the answer of all who ask")

    def declare(view: Callable[Concatenate[Q, P], Answer]) -> Callable[P, Response]:
        @wraps(view)
        def run(*args: P.args, **names: P.kwargs) -> Response:
            try:
                access.require(scope, by_namespace=by_namespace)
                if method == "POST":
                    # Its sender may be slow, and what it changes has transactions of its own: no request holds two connections.
                    give_back()
                given = indented.without(request.args) if JSON in media else request.args
                asked = read(query, given)
                if lasts_s and common.is_shared():
                    return common.response(lasts_s, lambda: _body(lambda: view(asked, *args, **names), status))
                result, response = _answered(lambda: view(asked, *args, **names), status)
            finally:
                give_back()
            return _streamed(result) if response is None else response

        answers = {status: answer, **(others or {})}
        name, about = view.__name__, view.__doc__ or ""
        run.operation = Operation(name, about, query, answers, scope, by_namespace, codes, media, body)  # type: ignore[attr-defined]
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
    by_namespace: bool = False,
    codes: tuple[str, ...] = (),
    lasts_s: float = 0,
) -> Callable[[Callable[Concatenate[T, Page, P], Table]], Callable[P, Response]]:
    """Serve a view that answers a table. The view gets its query, the page that is asked for, and what the rule names."""

    def declare(view: Callable[Concatenate[T, Page, P], Table]) -> Callable[P, Response]:
        @wraps(view)
        def paged(asked: T, /, *args: P.args, **names: P.kwargs) -> Answer:
            question = Question.of(request.endpoint or "", request.args)
            return view(asked, Page.of(asked, question, request.accept_mimetypes), *args, **names)

        return operation(blueprint, rule, answer, query, scope=scope, by_namespace=by_namespace, codes=codes, lasts_s=lasts_s)(
            paged
        )

    return declare


def _answered(view: Callable[[], Answer], status: int) -> tuple[Answer, Response | None]:
    """What a view answers, and the response unless it is streamed."""

    def answered() -> tuple[Answer, Response | None]:
        result = view()
        return result, _whole(result, status)

    return by_either(answered)


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
            document: Mapping[str, Any] = tables.document(result, primary() if result.of_primary else database())
        case (document, status):
            pass
        case _:
            document = result
    return Response(encodings.json(document), status, mimetype=JSON)


def _body(view: Callable[[], Answer], status: int) -> bytes:
    """What is kept for others. Raises TypeError for a stream."""
    response = _answered(view, status)[1]
    if response is None:
        raise TypeError("a stream is of one reader")
    return response.get_data()


def _streamed(result: Answer) -> Response:
    match result:
        case Stream():
            return streams.response(result)
        case Table():
            return _exported(result)
    raise TypeError("only tables and streams are streamed")


def _exported(table: Table) -> Response:
    """All rows of a table; by the primary, if the replica is found to be away before the first of them came."""
    name = request.path.strip("/").replace("/", "-")
    if table.of_primary:
        return tables.export(table, connections().engine, name)
    g.reading = connections().reading
    try:
        return tables.export(table, g.reading, name)
    except (DBAPIError, psycopg.Error) as error:
        if not left_the_replica(error):
            raise
        return tables.export(table, connections().engine, name)
    finally:
        give_back()
