"""Files of a recording: rotated, bounded, and with whole lines only."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from telemetry.readings.dump import HEADER
from telemetry.record.files import Files, FullError

LINE = b"x" * 99 + b"\n"


def made(path: Path, file_bytes: int = 1000, keep_bytes: int = 1 << 20, file_s: float = 1e9) -> Files:
    return Files(path, "gpus", file_bytes, file_s, keep_bytes)


def contents(path: Path) -> list[bytes]:
    return [each.read_bytes() for each in sorted(path.glob("gpus-*.csv"))]


def test_a_file_begins_with_the_header_and_ends_at_its_bound(tmp_path: Path) -> None:
    files = made(tmp_path)
    for _ in range(20):
        files.append(LINE)
    files.close()
    found = contents(tmp_path)
    assert all(each.startswith(HEADER) and len(each) <= 1000 for each in found)
    assert sum(each.count(LINE) for each in found) == 20


def test_a_file_ends_after_its_time_and_one_without_a_line_is_removed(tmp_path: Path) -> None:
    files = made(tmp_path, file_s=0.0)
    for _ in range(3):
        files.append(LINE)
    files.close()
    assert len(contents(tmp_path)) == 3


def test_the_oldest_files_go_where_all_are_too_large(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    others = [tmp_path / "other.csv", tmp_path / "gpus-2026-10.csv"]
    for other in others:
        other.write_bytes(b"y" * 10_000)
    files = made(tmp_path, keep_bytes=3000)
    for n in range(100):
        files.append(b"%098d,\n" % n)
    files.close()
    assert all(other.exists() for other in others)
    others[1].unlink()
    found = contents(tmp_path)
    assert sum(map(len, found)) <= 3000
    assert b"%098d,\n" % 99 in found[-1]
    assert "the oldest" in caplog.text


def test_a_full_disk_leaves_no_part_of_a_line_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    files = made(tmp_path, file_bytes=1 << 20)
    files.append(LINE)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A file that may not grow is what a full disk is to its writer.
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(HEADER) + 250, hard))
    try:
        files.append(LINE)
        with pytest.raises(FullError, match="cannot be written"):
            files.append(LINE)
        assert contents(tmp_path) == [HEADER + 2 * LINE]
        with pytest.raises(FullError):
            made(tmp_path).append(10 * LINE)
        assert len(contents(tmp_path)) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    files.append(LINE)
    assert contents(tmp_path) == [HEADER + 3 * LINE]
    files.close()


def test_a_directory_that_may_not_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FullError, match="no file can be made"):
        made(tmp_path / "nowhere").append(LINE)


def test_a_second_recording_in_the_directory_is_refused(tmp_path: Path) -> None:
    made(tmp_path / "new").claim()
    with pytest.raises(FullError, match="another recording writes to"):
        made(tmp_path / "new").claim()


def test_a_file_that_somebody_removed_is_followed_by_another(tmp_path: Path) -> None:
    files = made(tmp_path)
    files.append(LINE)
    next(tmp_path.iterdir()).unlink()
    files.append(LINE)
    assert contents(tmp_path) == [HEADER + LINE]
    files.close()
