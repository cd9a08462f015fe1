"""JSON for people: `?pretty` has any JSON answer come with a line for each value, problems too.

Only here is the parameter known: it changes nothing of what is asked, so no query has it.
"""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response, request
from werkzeug.datastructures import MultiDict

from telemetry.api.core.problems import bad_parameter

NAME = "pretty"
# As one writes it, as a form sends it, and off.
ON, OFF = ("", "true"), "false"
JSON = frozenset({"application/json", "application/problem+json"})
PARAMETER: dict[str, Any] = {
    "name": NAME,
    "in": "query",
    "schema": {"type": "string", "enum": [*ON, OFF]},
    "allowEmptyValue": True,
    "description": "JSON with a line for each value, for people; `?pretty` is enough",
}


def without(given: MultiDict[str, str]) -> MultiDict[str, str]:
    """The parameters that are the query's. Raises ProblemError if this one cannot be used."""
    values = given.getlist(NAME)
    if len(values) > 1:
        raise bad_parameter(NAME, f"{NAME} was given {len(values)} times; give it once")
    if values and values[0] not in {*ON, OFF}:
        raise bad_parameter(NAME, f"{NAME} must be true, false or empty")
    return MultiDict((name, value) for name, value in given.items(multi=True) if name != NAME)


def indent(response: Response) -> Response:
    """Indent an answer, if that is wanted; to be called after each request."""
    if request.args.get(NAME) in ON and response.mimetype in JSON and not response.is_streamed:
        lines = orjson.dumps(orjson.loads(response.get_data()), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        response.set_data(lines)
    return response
