"""Whether a file without a name may still be written to."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry.streamer import writers
from telemetry.streamer.writers import UNSURE, has_writer, is_closed


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "a.csv"
    path.touch()
    opened = os.open(path, os.O_RDONLY)
    yield opened
    os.close(opened)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux grants leases")
def test_the_kernel_knows_who_has_a_file_open_to_write(fd: int, tmp_path: Path) -> None:
    assert has_writer(fd) is False
    with (tmp_path / "a.csv").open("a"):
        assert has_writer(fd) is True
        assert not is_closed(fd, 1e9, 60)
    assert has_writer(fd) is False
    # Nothing of the lease is left: whoever opens it does not wait, and nobody is told.
    with (tmp_path / "a.csv").open("a") as writing:
        writing.write("x")


def test_where_nobody_knows_a_file_is_kept_for_longer(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "has_writer", lambda _: None)
    assert [is_closed(fd, quiet_s, 60) for quiet_s in (59, 61, 60 * UNSURE + 1)] == [False, False, True]
    # As others wait for its descriptor.
    assert is_closed(fd, 61, 60, unsure=1)
