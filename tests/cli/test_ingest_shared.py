"""`telemetry ingest` reads a large file by several processes: each row is stored once, and no process outlives the command."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from telemetry.streamer.shared import LEAST_BYTES
from tests.cli.test_ingest import Run
from tests.fixtures.processes import Start
from tests.fixtures.services import Query
from tests.strategies import HEADER
from tests.waiting import eventually

PADDING = "x" * 400


def row(number: int) -> str:
    at = f"2025-07-18T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}Z"
    return f'{at},DCGM_FI_DEV_GPU_UTIL,0,nvidia0,GPU-{number // 86_400},H100,host-1,,,,{number % 100},"padding=""{PADDING}"""\n'


@pytest.fixture(scope="module")
def rows() -> int:
    return 5 * LEAST_BYTES // 4 // len(row(0))


@pytest.fixture
def file(tmp_path: Path, rows: int) -> Path:
    path = tmp_path / "large.csv"
    with path.open("w") as lines:
        lines.write(HEADER.decode())
        lines.writelines(map(row, range(rows)))
    return path


def readers(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children()


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_command(
    start: Start,
    telemetry: Run,
    start_collector: Callable[[], object],
    file: Path,
    rows: int,
    query: Query,
    sign: signal.Signals,
) -> None:
    process = start("telemetry", "ingest", "--processes", "2", str(file))
    eventually(lambda: len(readers(process)) == 2, 30, what="two processes that read")
    pool = readers(process)
    # Both read, and nobody stores.
    eventually(lambda: all(each.cpu_times().user > 0.05 for each in pool), 30)
    if sign == signal.SIGINT:
        # As a terminal does: to all of them.
        for each in pool:
            each.send_signal(sign)
    process.send_signal(sign)
    process.wait(10)
    assert psutil.wait_procs(pool, 10)[1] == []
    start_collector()
    done = telemetry("ingest", "--processes", "2", "--json", file)
    classes = json.loads(done.stdout)
    assert (done.returncode, classes["rows"], classes["new"] + classes["known"]) == (0, rows, rows), done.stderr
    assert query("SELECT count(*), count(DISTINCT (series_id, ts)) FROM samples") == [(rows, rows)]
    assert telemetry("verify", file).returncode == 0


def test_a_packed_file_is_read_by_several_processes(
    start: Start, start_collector: Callable[[], object], file: Path, rows: int, tmp_path: Path, query: Query
) -> None:
    packed = tmp_path / "large.csv.gz"
    packed.write_bytes(gzip.compress(file.read_bytes(), 0))
    file.unlink()
    process = start("telemetry", "ingest", "--processes", "2", str(packed))
    eventually(lambda: sum(each.cpu_times().user for each in readers(process)) > 0.2, 30, what="work of other processes")
    start_collector()
    assert process.wait(60) == 0
    assert query("SELECT count(*) FROM samples") == [(rows,)]
