"""The headers of the page: it loads and sends nothing but its own, and stands in no frame."""

from __future__ import annotations

from flask import Response

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def protect(response: Response) -> Response:
    """Add the headers to a document of the page."""
    response.headers.update(HEADERS)
    return response
