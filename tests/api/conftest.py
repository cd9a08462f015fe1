"""The API's application on this test's database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from telemetry.api import create_app
from telemetry.settings import Settings


@pytest.fixture
def client(settings: Settings) -> Iterator[FlaskClient]:
    """A client of the application; the database is empty unless `fleet` is asked for too."""
    app = create_app(replace(settings, api_access="open"))
    with app.test_client() as made:
        yield made
    app.extensions["connections"].close()
