"""A network that can be cut, between the broker and what a test starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from telemetry.settings import Settings
from tests.faults.proxy import Proxy


@pytest.fixture
def way(settings: Settings) -> Iterator[Proxy]:
    """The network."""
    parts = urlsplit(settings.broker_url)
    if parts.scheme != "redis+socket":
        pytest.skip("the broker of the environment is behind a network already")
    with Proxy(lambda: Path(parts.path)) as proxy:
        yield proxy
