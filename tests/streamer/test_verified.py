"""Whether the bytes that were read of a file are still there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry.streamer.source import SourceFile
from telemetry.streamer.verified import Verified
from tests.streamer.edge import HEADER, append, rows


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "a.csv"
    made.write_text(HEADER + rows(0, 5))
    return made


@pytest.fixture
def source(path: Path) -> Iterator[SourceFile]:
    opened = SourceFile.open(path, max_record=1 << 16, final=False)
    assert opened is not None
    with opened:
        yield opened


def test_a_file_that_grows_is_intact_and_larger(path: Path, source: SourceFile) -> None:
    verified = Verified.up_to(source, source.size())
    append(path, rows(5, 7))
    assert verified.look()
    assert verified.size_bytes == path.stat().st_size
    verified.advance(source.size())
    assert verified.prefix.end == source.size()


def test_bytes_that_changed_in_place_are_noticed(path: Path, source: SourceFile) -> None:
    verified = Verified.up_to(source, source.size())
    size = verified.size_bytes
    with path.open("r+b") as file:
        file.seek(-3, os.SEEK_END)
        file.write(b"9")
    assert not verified.look()
    assert verified.size_bytes == size


def test_a_file_cut_below_what_was_read_is_noticed(path: Path, source: SourceFile) -> None:
    verified = Verified.up_to(source, source.size())
    path.write_text(HEADER)
    assert not verified.is_intact()


def test_another_head_is_noticed(path: Path, source: SourceFile) -> None:
    verified = Verified.up_to(source, source.head.end)
    path.write_text(HEADER.replace("value", "valid") + rows(0, 5))
    assert not verified.look()
