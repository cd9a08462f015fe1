"""`GET /`: where things are, for whoever opens the address in a browser or with curl."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

blueprint = Blueprint("index", __name__)


@blueprint.get("/")
def index() -> dict[str, Any]:
    """The resources there are."""
    return {
        "name": "telemetry",
        "resources": [
            "/health",
            "/metrics",
            "/api/v1/gpus",
            "/api/v1/gpus/{id}",
            "/api/v1/gpus/{id}/telemetry",
            "/api/v1/stats",
        ],
    }
