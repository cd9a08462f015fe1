"""What becomes of edges: clones, few descriptors, disks that fail, very many series, very many files."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.faults.redteam.conftest import Flow
from tests.fixtures.processes import ROOT, Start
from tests.streamer.edge import append, rows
from tests.waiting import eventually

Telemetry = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.redteam(of="R9")
def test_two_machines_of_one_name_take_turns_and_each_has_all_its_files_stored(flow: Flow) -> None:
    files, processes = {}, {}
    for machine in ("one", "two"):
        files[machine] = flow.write(f"{machine}/a.csv", rows(0, 100).replace("GPU-1", f"GPU-{machine}"))
        processes[machine] = flow.begin(f"{machine}/*.csv", TELEMETRY_MACHINE_ID=machine, TELEMETRY_LEASE_S="2")
        if machine == "one":
            flow.await_committed(files["one"])
    beat, streamer = processes["one"]
    for process in (beat, streamer):
        process.send_signal(signal.SIGSTOP)
    flow.await_committed(files["two"])
    for process in (beat, streamer):
        process.send_signal(signal.SIGCONT)
    append(files["one"], rows(100, 200).replace("GPU-1", "GPU-one"))
    append(files["two"], rows(100, 200).replace("GPU-1", "GPU-two"))
    flow.await_committed(files["two"])
    for process in processes["two"]:
        process.terminate()
        process.wait()
    flow.await_committed(files["one"])
    assert flow.exact(*files.values())["stored"] == 400


@pytest.mark.redteam(of="R17")
def test_more_files_than_descriptors_take_turns(flow: Flow, start: Start, tmp_path: Path) -> None:
    paths = [flow.write(f"{number:03}.csv", rows(20 * number, 20 * number + 20)) for number in range(260)]
    edge = {"TELEMETRY_ROLE": "edge", "TELEMETRY_SOURCES": str(flow.folder / "*.csv"), "TELEMETRY_STREAM_INTERVAL_S": "0.2"}
    options = ("--without-gossip", "--without-mingle", "-l", "info", "-n", "streamer@test")
    start(
        "celery", "-A", "tests.streamer.limited:app", "worker", *options, **edge, PYTHONPATH=str(ROOT), MOST_DESCRIPTORS="200"
    )
    start("celery", "-A", "telemetry", "beat", **edge)
    flow.await_committed(*paths)
    assert flow.exact(flow.folder)["stored"] == 5200
    logged = "\n".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert logged.count("wait to be read") <= 3
    assert "cannot read" not in logged


# Python imports it at its start. While a file is there, reads of some files fail in each way that disks and networks know.
FAILING = """
import errno, os, random

true_pread, WITNESS = os.pread, {witness!r}


def pread(fd, length, at):
    if not os.path.exists(WITNESS) or not os.readlink(f"/proc/self/fd/{{fd}}").startswith({folder!r}):
        return true_pread(fd, length, at)
    match random.randrange(8):
        case 0:
            raise OSError(errno.EIO, "Input/output error")
        case 1:
            raise OSError(errno.ESTALE, "Stale file handle")
        case 2:
            return true_pread(fd, max(1, length // 3), at)
        case 3:
            return b""
    return true_pread(fd, length, at)


os.pread = pread
"""


@pytest.mark.redteam(of="R25")
@pytest.mark.timeout(180)
def test_a_disk_that_fails_at_random_loses_nothing_and_tells_of_no_loss(flow: Flow, tmp_path: Path) -> None:
    shim, witness = tmp_path / "shim", tmp_path / "fails"
    shim.mkdir()
    (shim / "sitecustomize.py").write_text(FAILING.format(witness=str(witness), folder=str(flow.folder)))
    path = flow.write("a.csv", rows(0, 500))
    flow.begin(PYTHONPATH=f"{shim}:{ROOT}", TELEMETRY_LEASE_S="2")
    flow.await_committed(path)
    at = 500
    for _ in range(4):
        witness.touch()
        for _ in range(30):
            append(path, rows(at, at + 20))
            at += 20
            time.sleep(0.1)
        witness.unlink()
        flow.await_committed(path)
    assert flow.exact(path)["stored"] == at
    logged = "\n".join(log.read_text() for log in tmp_path.glob("*.log"))
    assert "cannot read" in logged
    assert "LOST" not in logged


@pytest.mark.redteam(of="R29")
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_three_hundred_thousand_series_in_one_file(flow: Flow) -> None:
    number = 300_000
    line = "2025-07-18T00:00:00Z,DCGM_FI_DEV_GPU_UTIL,0,GPU-{},host-{},1\n"
    path = flow.write("a.csv", *(line.format(n, n // 8) for n in range(number)))
    # By default what exceeds 100,000 goes to quarantine.
    _, streamer = flow.begin(TELEMETRY_MAX_SERIES="400000")
    largest = 0

    def is_stored() -> bool:
        nonlocal largest
        family = [streamer.pid, *(child.pid for child in psutil.Process(streamer.pid).children(recursive=True))]
        largest = max(largest, *(psutil.Process(pid).memory_info().rss for pid in family))
        return flow.committed(path) == path.stat().st_size

    eventually(is_stored, 800, every_s=1)
    # To verify as many series takes longer than the test has; no row of the file has the key of another one.
    assert flow.query("SELECT count(*), count(DISTINCT series_id) FROM samples") == [(number, number)]
    assert flow.query("SELECT count(*) FROM dead_letters") == [(0,)]
    assert largest < 512 << 20


@pytest.mark.redteam(of="R30")
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_six_thousand_small_files_cost_little_once_they_are_stored(flow: Flow) -> None:
    for number in range(6000):
        flow.write(f"{number:04}.csv", rows(10 * number, 10 * number + 10))
    paths = sorted(flow.folder.iterdir())
    _, streamer = flow.begin()
    eventually(lambda: flow.query("SELECT sum(rows) FROM ledger") == [(60_000,)], 800, every_s=1, what="all rows stored")
    flow.await_committed(*paths[:3], *paths[-3:])
    process = psutil.Process(streamer.pid)

    def idle() -> tuple[float, float]:
        spent, commands = sum(process.cpu_times()[:2]), flow.client.info("stats")["total_commands_processed"]
        begun_s = time.monotonic()
        time.sleep(5)
        passed_s = time.monotonic() - begun_s
        after = flow.client.info("stats")["total_commands_processed"]
        return (sum(process.cpu_times()[:2]) - spent) / passed_s, (after - commands) / passed_s

    def is_quiet() -> bool:
        cores, commands = idle()
        return cores < 0.5 and commands < 1000

    # Files rest once they were quiet for a minute.
    eventually(is_quiet, 240, what="an edge with nothing to do")
    assert flow.exact(flow.folder)["stored"] == 60_000
