"""The content of packed files is that which was packed, wherever it is read, or the file is called damaged."""

from __future__ import annotations

import gzip
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.streamer import contents
from telemetry.streamer.contents import Bench, Plain, Unpacked, UnpackError
from telemetry.streamer.packing import DamagedError, packing_of
from telemetry.verify.contents import damage, opened
from tests.streamer.packs import PACKERS

TEXT = b"".join(b"%d,%d\n" % (n, n * n) for n in range(200_000))
NOISE = random.Random(7).randbytes(3000)  # noqa: S311 - no secret
SUFFIXES = sorted(PACKERS)


@contextmanager
def unpacked(path: Path, data: bytes, head_bytes: int = 1000, bench: Bench | None = None) -> Iterator[Unpacked]:
    """The content of a file with these bytes."""
    path.write_bytes(data)
    fd = os.open(path, os.O_RDONLY)
    try:
        content = Unpacked(fd, packing_of(fd), head_bytes, bench or Bench())
        yield content
        content.close()
    finally:
        os.close(fd)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_any_part_of_it_is_read(tmp_path: Path, suffix: str) -> None:
    with unpacked(tmp_path / "a", PACKERS[suffix](TEXT)) as content:
        assert (content.is_ready, content.read(0, 500)) == (False, TEXT[:500])
        assert not content.is_ready
        for start, length in ((900, 200), (len(TEXT) - 10, 100), (5, 1_000_000), (len(TEXT), 10)):
            assert content.read(start, length) == TEXT[start : start + length]
        assert (content.is_ready, content.size()) == (True, len(TEXT))
    with opened(tmp_path / "a") as data:
        assert data[:] == TEXT


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(parts=st.lists(st.binary(max_size=200), min_size=1, max_size=4), head_bytes=st.integers(1, 300))
def test_files_that_were_joined_are_one(suffix: str, parts: list[bytes], head_bytes: int) -> None:
    data, whole = b"".join(map(PACKERS[suffix], parts)), b"".join(parts)
    with tempfile.TemporaryDirectory() as folder:
        with unpacked(Path(folder) / "a", data, head_bytes) as content:
            content.complete()
            assert (content.size(), content.read(0, 10_000)) == (len(whole), whole)
        assert not damage(Path(folder) / "a")


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(data=st.data())
def test_a_file_that_was_cut_or_changed_is_damaged(suffix: str, data: st.DataObject) -> None:
    packed = bytearray(PACKERS[suffix](NOISE))
    if data.draw(st.booleans()):
        del packed[data.draw(st.integers(8, len(packed) - 1)) :]
    elif suffix != ".zst":
        # A frame of zstd has a checksum only where its writer asked for one.
        packed[data.draw(st.integers(300, 2500))] ^= 1 << data.draw(st.integers(0, 7))
    else:
        packed += b"x"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        with pytest.raises(DamagedError, match="data is damaged behind"), unpacked(path, bytes(packed)) as content:
            content.complete()
        assert damage(path)


def test_one_is_unpacked_after_the_other_but_for_what_must_be_read_now(tmp_path: Path) -> None:
    bench, packed = Bench(limit=2), gzip.compress(TEXT * 20)
    names = iter("abc")

    def another() -> AbstractContextManager[Unpacked]:
        return unpacked(tmp_path / next(names), packed, bench=bench)

    with another() as first, another() as second, another() as third:
        assert first.step()
        assert (second.step(), first.is_ready) == (False, False)
        assert second.read(len(TEXT) + 5, 10) == TEXT[5:15]
        while not first.is_ready:
            assert first.step()
        # There is room for two.
        assert not third.step()
        first.settle()
        assert (first.is_ready, first.is_settled, first.size()) == (True, True, len(TEXT) * 20)
        assert third.step()
        # What is settled can be read again.
        assert first.read(len(TEXT) - 3, 3) == TEXT[-3:]
        assert not first.is_settled
    assert (bench.in_use, bench.at_work) == (0, 0)


def test_a_full_disk_is_told_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(limit=1)
    monkeypatch.setattr(contents, "SPARE_BYTES", 1 << 60)
    with unpacked(tmp_path / "a", gzip.compress(TEXT), bench=bench) as content:
        with pytest.raises(UnpackError, match="there is no room to unpack it in"):
            content.complete()
        assert (bench.in_use, bench.at_work) == (0, 0)


def test_what_is_damaged_is_remembered_until_it_changes(tmp_path: Path) -> None:
    bench, path = Bench(), tmp_path / "a"
    with unpacked(path, gzip.compress(TEXT)[:-4], bench=bench) as content, pytest.raises(DamagedError):
        content.complete()
    fd = os.open(path, os.O_RDONLY)
    assert "it ends too early" in bench.damage(fd)
    path.write_bytes(gzip.compress(TEXT))
    assert bench.damage(fd) == ""
    os.close(fd)


def test_an_end_before_the_size_is_an_error_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x" * 100)
    with path.open("rb") as file:
        content = Plain(file.fileno())
        assert content.read(90, 100) == b"x" * 10
        assert content.read(100, 10) == b""
        true, answers = os.pread, [b"", b""]
        monkeypatch.setattr(os, "pread", lambda *place: answers.pop() if answers else true(*place))
        with pytest.raises(OSError, match="before its size"):
            content.read(0, 100)
        # It was appended to between two calls.
        answers.append(b"")
        assert content.read(0, 100) == b"x" * 100
