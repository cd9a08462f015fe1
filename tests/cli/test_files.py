"""What `ingest` and `verify` may be given: files, directories and pipes; what is none of these is refused at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import click
import pytest

from telemetry.cli.files import Spool, regular
from tests.fixtures.services import Query
from tests.streamer.edge import HEADER, rows

Run = Callable[..., subprocess.CompletedProcess[str]]
BIN = Path(sys.executable).parent


def test_a_directory_is_its_csv_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("b.csv", "a.csv", "c.CSV", "d.csv.gz", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "sub.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "dangling.csv").symlink_to(tmp_path / "nothing")
    assert regular([tmp_path / "b.csv", tmp_path]) == [tmp_path / "b.csv", tmp_path / "a.csv", tmp_path / "d.csv.gz"]
    told = capsys.readouterr().err
    names = "c.CSV, dangling.csv, notes.txt, pipe.csv, sub.csv (5)"
    assert told == f"{tmp_path}: passed over what is no file named *.csv or *.csv.gz, .zst, .xz: {names}\n"
    assert regular([tmp_path / "c.CSV"]) == [tmp_path / "c.CSV"]


def test_a_directory_without_csv_files_is_bad_usage(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match=r"has no file named \*\.csv, packed or not"):
        regular([tmp_path])


@pytest.mark.parametrize("command", ["ingest", "verify"])
def test_a_pipe_with_a_name_and_a_device_are_refused_at_once(telemetry: Run, tmp_path: Path, command: str) -> None:
    fifo = tmp_path / "pipe.csv"
    os.mkfifo(fifo)
    for path, kind in ((fifo, "a pipe with a name"), (Path("/dev/null"), "a device or a socket")):
        done = telemetry(command, path)
        assert (done.returncode, f"{path} is {kind}, not a file" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_what_comes_through_a_pipe_is_spooled(
    start_collector: Callable[[], object], environ: Mapping[str, str], query: Query, tmp_path: Path, name: str
) -> None:
    environ = {**os.environ, **environ, "TMPDIR": str(tmp_path)}
    # A reading in conflict is kept as well.
    text = HEADER + rows(0, 3) + rows(2, 3).replace("000002", "000007")

    def run(command: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        argv = [str(BIN / "telemetry"), command, name, *options]
        return subprocess.run(
            argv, env=environ | variables, input=text, capture_output=True, text=True, check=False, timeout=60
        )

    failed = run("ingest", "--timeout", "0.5")
    (kept,) = tmp_path.glob("telemetry-ingest-*/*.csv")
    assert failed.returncode == 1
    assert f"what came through the pipe is kept in {kept}\n" in failed.stderr
    kept.unlink()
    kept.parent.rmdir()
    start_collector()
    # An edge that cannot ask the ledger does not know whether some of it is expired.
    blind = run("ingest", "--timeout", "60", TELEMETRY_DATABASE_URL="postgresql://localhost:1/none")
    (kept,) = tmp_path.glob("telemetry-ingest-*/*.csv")
    assert f"what came through the pipe is kept in {kept}\n" in blind.stderr
    kept.unlink()
    kept.parent.rmdir()
    done = run("ingest", "--timeout", "60")
    assert (done.returncode, done.stderr) == (1, "")
    assert ": 0 new, 3 known, 1 in conflict" in done.stdout
    assert query("SELECT count(*) FROM samples") == [(3,)]
    assert list(tmp_path.glob("telemetry-ingest-*")) == []
    assert run("verify").returncode == 2


def test_two_pipes_are_two_files(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    ends = [os.pipe(), os.pipe()]
    for number, (_, writing) in enumerate(ends):
        os.write(writing, b"%d" % number)
        os.close(writing)
    files = regular([Path(f"/dev/fd/{reading}") for reading, _ in ends], spool)
    assert [file.read_bytes() for file in files] == [b"0", b"1"]
    for reading, _ in ends:
        os.close(reading)
