"""Fixtures of the tests about trust."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from telemetry.settings import Settings
from tests.fixtures.secured import Credentials
from tests.trust.users import Users


@pytest.fixture
def credentials() -> Credentials:
    """None: these tests make users and keys of their own, in whose place `pytest --secure` would put others."""
    return lambda _command, _variables: {}


@pytest.fixture
def users(redis_client: redis.Redis, settings: Settings, broker_url: str) -> Iterator[Users]:
    """Users of this test's broker."""
    made = Users(redis_client, broker_url, settings.key_prefix)
    yield made
    made.remove()
