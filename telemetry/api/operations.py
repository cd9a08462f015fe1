"""Operations: what a request may be and what it is answered, declared once beside each view.

Owns the order in which a request is judged: who asks, then the query, then what the view says. The specification is made
of the same declarations, so the two cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from flask import Blueprint, Response, request
from pydantic import BaseModel

from telemetry.api.answers import encodings
from telemetry.api.answers.tables import Table
from telemetry.api.core.connections import give_back
from telemetry.api.core.parameters import Query, read
from telemetry.api.guards import access
from telemetry.api.guards.access import Scope

P = ParamSpec("P")
Q = TypeVar("Q", bound=Query)
Answer = Table | Response | Mapping[str, Any] | tuple[Mapping[str, Any], int]


@dataclass(frozen=True, slots=True)
class Operation:
    """What the specification says of a view. `answer` is the JSON document, by status; `table`: other formats too."""

    name: str
    about: str
    query: type[Query]
    answers: Mapping[int, type[BaseModel]]
    scope: Scope | None
    table: bool
    codes: tuple[str, ...]
    media: tuple[str, ...]
    body: Mapping[str, Any] | None


def operation(
    blueprint: Blueprint,
    rule: str,
    answer: type[BaseModel],
    query: type[Q],
    *,
    method: Literal["GET", "POST"] = "GET",
    status: int = 200,
    scope: Scope | None = "read",
    table: bool = False,
    codes: tuple[str, ...] = (),
    others: Mapping[int, type[BaseModel]] | None = None,
    media: tuple[str, ...] = ("application/json",),
    body: Mapping[str, Any] | None = None,
) -> Callable[[Callable[Concatenate[Q, P], Answer]], Callable[P, Response]]:
    """Serve a view at a rule. It gets its query, and what the rule names; it returns a table, a document or a response."""

    def declare(view: Callable[Concatenate[Q, P], Answer]) -> Callable[P, Response]:
        @wraps(view)
        def run(*args: P.args, **names: P.kwargs) -> Response:
            try:
                access.require(scope)
                return _response(view(read(query, request.args), *args, **names), status)
            finally:
                give_back()

        answers = {status: answer, **(others or {})}
        name, about = view.__name__, view.__doc__ or ""
        run.operation = Operation(name, about, query, answers, scope, table, codes, media, body)  # type: ignore[attr-defined]
        blueprint.add_url_rule(rule, view_func=run, methods=[method])
        return run

    return declare


def _response(answer: Answer, status: int) -> Response:
    match answer:
        case Table():
            return answer.answer()
        case Response():
            return answer
        case (document, other):
            return Response(encodings.json(document), other, mimetype="application/json")
    return Response(encodings.json(answer), status, mimetype="application/json")
