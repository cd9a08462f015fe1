"""`/api/v1`: a list of the resources. The page answers the same at `/` to all that is no browser."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app
from pydantic import BaseModel

from telemetry.api import specification
from telemetry.api.core.queries import Query
from telemetry.api.operations import operation

blueprint = Blueprint("index", __name__)


class Index(BaseModel):
    """The resources. `docs` is a page about them, `specification` the same for programs."""

    name: str
    docs: str
    specification: str
    resources: list[str]


@operation(blueprint, "/api/v1", Index, Query, scope=None)
def show_api_index(_: Query) -> dict[str, Any]:
    """The resources there are, at the address under which they stand."""
    return listed()


def listed() -> dict[str, Any]:
    """The resources of this application."""
    paths = {path for path, _, _ in specification.operations(current_app)}
    return {
        "name": "telemetry",
        "docs": "/api/v1/docs",
        "specification": "/api/v1/openapi.json",
        "resources": sorted(paths - {"/", "/api/v1"}),
    }
