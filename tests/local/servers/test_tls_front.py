"""TLS before the broker finds a port, also if somebody takes the one that it has chosen."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from socket import create_server
from urllib.parse import urlsplit

import pytest

from telemetry.local import ports
from telemetry.local.servers import Valkey
from tests.faults.secured import Secured


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path, as that of a socket must be."""
    with tempfile.TemporaryDirectory(prefix="telemetry-tls-") as name:
        yield Path(name)


def test_a_port_that_is_taken_meanwhile_is_left_to_who_has_it(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secured = Secured.of(directory)
    with create_server(("127.0.0.1", 0)) as other, Valkey(directory / "valkey", secured.options) as valkey:
        taken = other.getsockname()[1]
        chosen, choose = iter([taken]), ports.free_port
        monkeypatch.setattr(ports, "free_port", lambda first: next(chosen, None) or choose(first))
        with secured.front(directory / "tls", valkey) as front:
            assert front.answers()
            assert urlsplit(front.url).port != taken
