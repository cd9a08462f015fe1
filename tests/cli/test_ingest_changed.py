"""`telemetry ingest` while its files are deleted, replaced, cut or ill: it ends, and says what it did not store."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner

from telemetry.cli import main, to_the_end
from telemetry.streamer.step import Done, Moment
from telemetry.streamer.stream import Stream
from tests.fixtures.services import Query
from tests.strategies import HEADER
from tests.waiting import eventually

ROW = b"2025-07-18T20:42:%02dZ,DCGM_FI_DEV_GPU_UTIL,0,nvidia0,GPU-%d,H100,host-1,,,,7,\n"
ROWS = 6
# What changed then may still be written.
LATER_S = time.time() + 3600
STORED = "SELECT count(*) FROM samples"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of six rows."""
    return written(tmp_path / "six.csv", range(ROWS))


def written(path: Path, gpus: range) -> Path:
    """A file of a row each of some GPUs."""
    path.write_bytes(HEADER + b"".join(ROW % (n % 60, n) for n in gpus))
    return path


@pytest.fixture
def ingesting(environ: dict[str, str], redis_client: redis.Redis, start_collector: Callable[[], object]) -> Any:
    """Begin to ingest files, and once what is read of them waits for a collector, do something; then start one."""

    @contextmanager
    def begin(*arguments: str | Path, batches: int = 1, final: bool = True, **variables: str) -> Iterator[dict[str, Any]]:
        command = [Path(sys.executable).parent / "telemetry", "ingest", "--json", "--timeout", "50", *arguments]
        command += ["--final"] * final
        # Where nobody writes to a file without a name, that is soon.
        env = os.environ | environ | {"TELEMETRY_CLOSE_AFTER_S": "0.5"} | variables
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            queue = f"{environ['TELEMETRY_KEY_PREFIX']}.ingest"
            eventually(lambda: redis_client.llen(queue) >= batches, 20, what="batches that wait")
            outcome: dict[str, Any] = {}
            yield outcome
            start_collector()
            output, errors = process.communicate()
            assert output, errors
            outcome |= json.loads(output) | {"exit": process.returncode}

    return begin


def test_a_file_that_is_deleted_on_its_way_is_stored(ingesting: Any, file: Path, query: Query) -> None:
    with ingesting(file) as outcome:
        file.unlink()
    assert (outcome["exit"], outcome["new"], outcome["rows"]) == (0, ROWS, ROWS)
    assert query(STORED) == [(ROWS,)]


def test_a_file_that_is_cut_once_it_is_read_is_stored(ingesting: Any, file: Path) -> None:
    with ingesting(file) as outcome:
        os.truncate(file, 0)
    assert (outcome["exit"], outcome["new"], outcome["rows"], outcome["lost"]) == (0, ROWS, ROWS, [])


def test_what_is_written_over_a_file_that_is_read_is_stored_too(ingesting: Any, file: Path) -> None:
    """In place, as `cp` does it, with another beginning and with the same one."""
    with ingesting(file) as outcome:
        written(file, range(10, 14))
    assert (outcome["exit"], outcome["new"], outcome["rows"], outcome["lost"]) == (0, ROWS + 4, ROWS + 4, [])


def test_a_file_that_takes_the_place_of_one_that_begins_the_same_is_stored_too(
    ingesting: Any, file: Path, tmp_path: Path
) -> None:
    with ingesting(file) as outcome:
        other = tmp_path / "other"
        other.write_bytes(HEADER + ROW % (0, 0) + b"".join(ROW % (n, 20 + n) for n in range(3)))
        other.rename(file)
    assert (outcome["exit"], outcome["new"], outcome["failed"], outcome["lost"]) == (0, ROWS + 3, [], [])


def test_files_that_are_rotated_are_read_under_their_new_names(ingesting: Any, file: Path, tmp_path: Path) -> None:
    older = written(tmp_path / "six.csv.1", range(20, 23))
    with ingesting(file, older, batches=2) as outcome:
        older.unlink()
        file.rename(older)
        written(file, range(30, 32))
    assert (outcome["exit"], outcome["new"], outcome["rows"], outcome["failed"]) == (0, ROWS + 3 + 2, ROWS + 3 + 2, [])


def test_half_a_record_of_a_file_that_came_meanwhile_is_left(ingesting: Any, file: Path, tmp_path: Path, query: Query) -> None:
    with ingesting(file, final=False) as outcome:
        other = written(tmp_path / "other", range(10, 14))
        os.truncate(other, other.stat().st_size - 1)
        os.utime(other, (LATER_S, LATER_S))
        other.rename(file)
    assert (outcome["exit"], outcome["new"], outcome["left"], outcome["failed"]) == (1, ROWS + 3, [str(file)], [])
    assert query(STORED) == [(ROWS + 3,)]


def test_a_file_that_had_only_its_header_at_first_is_read(ingesting: Any, file: Path, tmp_path: Path) -> None:
    live = tmp_path / "live.csv"
    live.write_bytes(HEADER)
    os.utime(live, (LATER_S, LATER_S))
    with ingesting(file, live, final=False) as outcome:
        with live.open("ab") as growing:
            growing.writelines(ROW % (n, 10 + n) for n in range(4))
        os.utime(live, (LATER_S, LATER_S))
    assert (outcome["exit"], outcome["new"], outcome["left"], outcome["failed"]) == (0, ROWS + 4, [], [])


def test_a_foreign_file_in_whose_place_a_known_one_comes_is_read(ingesting: Any, file: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.csv"
    foreign.write_bytes(b"a,b\n1,2\n")
    with ingesting(file, foreign) as outcome:
        written(tmp_path / "other", range(10, 14)).rename(foreign)
    assert (outcome["exit"], outcome["new"], outcome["unread"], outcome["foreign"]) == (0, ROWS + 4, 0, [])


def test_half_a_record_of_a_file_that_is_deleted_is_told(ingesting: Any, file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)
    os.utime(file, (LATER_S, LATER_S))
    with ingesting(file, final=False, TELEMETRY_CLOSE_AFTER_S="60") as outcome:
        file.unlink()
    assert (outcome["exit"], outcome["new"], outcome["left"]) == (1, ROWS - 1, [])
    assert [failed["path"] for failed in outcome["failed"]] == [str(file)]


def test_a_packed_file_that_is_touched_is_read_again(ingesting: Any, tmp_path: Path) -> None:
    packed = tmp_path / "six.csv.gz"
    packed.write_bytes(gzip.compress(HEADER + b"".join(ROW % (n, n) for n in range(ROWS))))
    with ingesting(packed) as outcome:
        os.utime(packed, (1, 1))
    assert (outcome["exit"], outcome["new"], outcome["rows"], outcome["failed"]) == (0, ROWS, ROWS, [])


def test_two_names_of_a_file_are_one_file(ingesting: Any, file: Path, tmp_path: Path) -> None:
    (tmp_path / "again.csv").hardlink_to(file)
    with ingesting(tmp_path / "again.csv", file) as outcome:
        pass
    assert (outcome["exit"], outcome["files"], outcome["new"]) == (0, 1, ROWS)


def test_a_file_that_is_replaced_is_stored_as_it_was_and_as_it_is(ingesting: Any, file: Path, tmp_path: Path) -> None:
    with ingesting(file) as outcome:
        written(tmp_path / "other", range(10, 14)).rename(file)
    assert (outcome["exit"], outcome["new"], outcome["lost"]) == (0, ROWS + 4, [])


def test_what_is_cut_off_before_it_was_read_is_lost(ingesting: Any, tmp_path: Path, query: Query) -> None:
    rows = 20_000
    path = written(tmp_path / "long.csv", range(rows))
    size = path.stat().st_size
    # What waits in the queue is not taken for lost.
    sizes = {"TELEMETRY_WINDOW_BYTES": str(1 << 16), "TELEMETRY_REPUBLISH_AFTER_S": "60"}
    with ingesting(path, "--batch-size", "100", batches=10, **sizes) as outcome:
        os.truncate(path, len(HEADER))
    (lost,) = outcome["lost"]
    ((stored,),) = query(STORED)
    assert 0 < stored == outcome["rows"] < rows
    assert path.read_bytes() == HEADER
    assert (outcome["exit"], lost["path"], lost["end"]) == (1, str(path), size)
    assert (size - lost["start"]) == sum(len(ROW % (n % 60, n)) for n in range(stored, rows))


def test_a_packed_file_in_whose_place_another_one_is_written_is_told(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], start_collector: Callable[[], object], tmp_path: Path
) -> None:
    """Of the first one nobody hears any more what became of it."""
    monkeypatch.setattr(to_the_end, "OUTAGE_S", 3.0)
    packed, step = tmp_path / "six.csv.gz", Stream.step
    packed.write_bytes(gzip.compress(HEADER + b"".join(ROW % (n, n) for n in range(ROWS))))

    def changing(stream: Stream, moment: Moment) -> Done:
        done = step(stream, moment)
        if stream.window.flights and stream.tally.rows_read == ROWS:
            packed.write_bytes(gzip.compress(HEADER + b"".join(ROW % (n, 20 + n) for n in range(2))))
        return done

    monkeypatch.setattr(Stream, "step", changing)
    start_collector()
    done = CliRunner().invoke(main, ["ingest", "--final", "--timeout", "30", str(packed)], env=environ)
    assert done.exit_code == 1, done.output
    assert f"{packed} was not read to its end: it was packed anew" in done.stdout


@pytest.mark.parametrize(("error", "why"), [(OSError(5, "Input/output error"), "Input/output error"), (TypeError("x"), "x")])
def test_a_file_that_cannot_be_read_is_told_and_the_others_are_stored(
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    start_collector: Callable[[], object],
    file: Path,
    tmp_path: Path,
    error: Exception,
    why: str,
) -> None:
    monkeypatch.setattr(to_the_end, "OUTAGE_S", 1.0)
    other, step = written(tmp_path / "ill.csv", range(10, 14)), Stream.step

    def ill(stream: Stream, moment: Moment) -> Done:
        if stream.source.path == other:
            raise error
        return step(stream, moment)

    monkeypatch.setattr(Stream, "step", ill)
    start_collector()
    command = ["ingest", "--final", "--timeout", "30", str(file), str(other)]
    done = CliRunner().invoke(main, command, env=environ)
    assert done.exit_code == 1, done.output
    assert done.stdout.startswith("6 rows of 2 files committed")
    assert f"{other} was not read to its end: {why}" in done.stdout
