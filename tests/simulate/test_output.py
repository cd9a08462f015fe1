from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from telemetry.readings.dump import HEADER
from telemetry.simulate.output import OutputError, create, resume

ROW = b'"2025-07-18T20:42:34Z","M"\n'


def written(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"".join(lines))
    return path


def test_a_new_file_begins_with_the_header(tmp_path: Path) -> None:
    sink = create(tmp_path / "a.csv", force=False)
    sink.write(ROW)
    sink.close()
    assert (tmp_path / "a.csv").read_bytes() == HEADER + ROW
    assert sink.last is None


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", b"dear\n")
    with pytest.raises(OutputError, match="--force"):
        create(path, force=False)
    assert path.read_bytes() == b"dear\n"


def test_force_puts_a_new_file_in_its_place(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", b"dear\n")
    with path.open("rb") as reader:
        create(path, force=True).close()
        assert reader.read() == b"dear\n"
    assert path.read_bytes() == HEADER


@pytest.mark.parametrize("unfinished", [b"", b'"2025-07-18T20:42:', b'"2025-07-18T20:42:44Z","M"'])
def test_continuing_goes_on_after_the_last_whole_line(tmp_path: Path, unfinished: bytes) -> None:
    path = written(tmp_path / "a.csv", HEADER, ROW, unfinished)
    sink = resume(path)
    sink.write(ROW)
    sink.close()
    assert sink.last == datetime(2025, 7, 18, 20, 42, 34, tzinfo=UTC)
    assert path.read_bytes() == HEADER + ROW + ROW


@pytest.mark.parametrize("lines", [[], [HEADER]])
def test_continuing_a_file_without_rows_or_none_at_all(tmp_path: Path, lines: list[bytes]) -> None:
    for path in (written(tmp_path / "a.csv", *lines), tmp_path / "absent.csv"):
        sink = resume(path)
        sink.close()
        assert sink.last is None
        assert path.read_bytes() == HEADER


@pytest.mark.parametrize(("content", "said"), [(b"a,b\n1,2\n", "not have the header"), (HEADER + b"x\n", "without a time")])
def test_what_cannot_be_continued_is_left_alone(tmp_path: Path, content: bytes, said: str) -> None:
    path = written(tmp_path / "a.csv", content)
    with pytest.raises(OutputError, match=said):
        resume(path)
    assert path.read_bytes() == content


def test_two_runs_cannot_write_one_file(tmp_path: Path) -> None:
    sink = create(tmp_path / "a.csv", force=False)
    with pytest.raises(OutputError, match="another telemetry simulate"):
        resume(tmp_path / "a.csv")
    sink.close()


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a directory"):
        create(tmp_path, force=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_device_is_told() -> None:
    with pytest.raises(OSError, match=os.strerror(28)):
        create(Path("/dev/full"), force=False)
