"""Registers a format for a while, as one line in each of the two lists does for good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from telemetry.formats import registry
from telemetry.formats.base import Format
from telemetry.verify.formats import registry as readers
from telemetry.verify.formats.base import FormatReader


@contextmanager
def registered(kind: type[Format], reader: type[FormatReader]) -> Iterator[None]:
    """The streamer and `verify` of this process know the format inside."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "FORMATS", (*registry.FORMATS, kind))
        patch.setattr(readers, "READERS", (*readers.READERS, reader))
        yield
