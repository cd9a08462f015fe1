"""Files of logs, and their size."""

from __future__ import annotations

import stat
from contextlib import closing
from pathlib import Path

import pytest

from telemetry.local import log_files
from telemetry.local.log_files import LogFiles


def test_each_process_has_a_file_that_goes_on(tmp_path: Path) -> None:
    for line in (b"one\n", b"\xff two"):
        with closing(LogFiles(tmp_path / "log")) as files:
            files.write("api", line)
            files.write("beat", b"x\n")
    assert (tmp_path / "log/api.log").read_bytes() == b"one\n\xff two\n"
    assert (tmp_path / "log/beat.log").read_bytes() == b"x\nx\n"
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o700


def test_their_size_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "FILE_BYTES", 1000)
    with closing(LogFiles(tmp_path)) as files:
        for number in range(1000):
            files.write("api", b"line %03d of nineteen" % number)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sorted(sizes) == ["api.log", "api.log.1", "api.log.2", "api.log.3"]
    assert max(sizes.values()) <= 1000
    kept = [line for name in sorted(sizes, reverse=True) for line in (tmp_path / name).read_text().splitlines()]
    assert kept == [f"line {number:03} of nineteen" for number in range(1000 - len(kept), 1000)]


def test_a_line_longer_than_a_file_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "FILE_BYTES", 10)
    with closing(LogFiles(tmp_path)) as files:
        files.write("api", b"x" * 50)
        files.write("api", b"y")
    assert (tmp_path / "api.log").read_bytes() == b"y\n"
    assert (tmp_path / "api.log.1").read_bytes() == b"x" * 50 + b"\n"
