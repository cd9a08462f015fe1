"""Files as NFS, crashes and people make them: holes, headers in the middle, endings of every kind, links, long names."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.faults.redteam.conftest import Flow
from tests.streamer.edge import HEADER, append, rows
from tests.waiting import eventually

GPU = "GPU-0b1e2d3c-0000-4000-8000-00000000000{}"
SWAPPED = "timestamp,metric_name,gpu_id,Hostname,uuid,value\n"


@pytest.mark.redteam(of="R8")
def test_a_hole_that_is_filled_later_is_read(flow: Flow) -> None:
    path = flow.write("a.csv", rows(0, 200))
    late = rows(200, 400).encode()
    at = path.stat().st_size
    with path.open("r+b") as writing:
        writing.seek(at + len(late))
        writing.write(rows(400, 600).encode())
    flow.begin()
    eventually(lambda: flow.committed(path) > 0, 30, what="rows before the hole stored")
    with path.open("r+b") as writing:
        writing.seek(at)
        writing.write(late)
    flow.await_committed(path)
    counts = flow.exact(path)
    assert (counts["stored"], counts["quarantined"]) == (600, 0)


@pytest.mark.redteam(of="R11")
def test_who_writes_on_to_a_renamed_file_after_a_long_pause_is_read_on(flow: Flow) -> None:
    path = flow.write("a.csv", rows(0, 5))
    with path.open("a") as writing:
        flow.begin(TELEMETRY_CLOSE_AFTER_S="0.5", TELEMETRY_LEASE_S="2")
        flow.await_committed(path)
        path = path.rename(path.with_suffix(".1"))
        for number in range(3):
            # As long as between two scrapes: longer than a file that nobody writes to is kept.
            time.sleep(2.5)
            writing.write(rows(5 + number, 6 + number))
            writing.flush()
        eventually(lambda: flow.query("SELECT count(*) FROM samples") == [(8,)], 20, what="all that was written")
    flow.exact(path)


@pytest.mark.redteam(of="R13")
def test_two_machines_that_are_both_localhost_have_two_gpus(flow: Flow) -> None:
    header = "timestamp,metric_name,gpu_id,Hostname,value\n"
    line = "2025-07-18T00:{:02}:{:02}Z,DCGM_FI_DEV_GPU_UTIL,0,localhost,{}\n"
    paths = []
    for node in (1, 2):
        text = "".join(line.format(n // 60, n % 60, 1000 * node + n) for n in range(100))
        paths.append(flow.write(f"node-{node}/a.csv", text, header=header))
        flow.begin(f"node-{node}/*.csv", TELEMETRY_EDGE=f"test/node-{node}")
        flow.await_committed(paths[-1], edge=f"test/node-{node}")
    assert flow.query("SELECT count(*), count(DISTINCT series_id) FROM samples") == [(200, 2)]
    assert flow.query("SELECT count(*) FROM conflicts") == [(0,)]


@pytest.mark.redteam(of="R14")
def test_behind_a_header_with_columns_exchanged_the_right_gpu_has_the_readings(flow: Flow) -> None:
    path = flow.write("a.csv", rows(0, 100).replace("GPU-1", GPU.format(1)))
    flow.begin()
    flow.await_committed(path)
    swapped = [line.split(",") for line in rows(100, 150).replace("GPU-1", GPU.format(1)).splitlines(keepends=True)]
    append(path, SWAPPED + "".join(",".join([*a, host, uuid, value]) for *a, uuid, host, value in swapped))
    flow.await_committed(path)
    assert flow.exact(path)["stored"] == 150
    assert flow.query("SELECT uuid, host FROM gpus") == [(GPU.format(1), "host-1")]


@pytest.mark.redteam(of="R15")
def test_files_with_lines_above_their_header_are_read(flow: Flow) -> None:
    above = ("\n", "# written by a script\n", "\ufeff\n# a\n\n")
    paths = [
        flow.write(f"{number}.csv", rows(100 * number, 100 * number + 100), header=lines + HEADER)
        for number, lines in enumerate(above)
    ]
    flow.begin()
    flow.await_committed(*paths)
    counts = flow.exact(*paths)
    assert (counts["stored"], counts["quarantined"]) == (300, 0)


@pytest.mark.redteam(of="R16")
def test_behind_nuls_that_a_crash_left_no_row_is_lost_untold(flow: Flow) -> None:
    path = flow.write("a.csv", rows(0, 200))
    with path.open("ab") as writing:
        writing.write(bytes(300) + rows(200, 400).encode())
    flow.begin(TELEMETRY_CLOSE_AFTER_S="1")
    flow.await_committed(path)
    counts = flow.exact(path)
    # What stands behind the NULs on their line may be the rest of a row that they took the place of.
    assert (counts["stored"], counts["quarantined"]) == (399, 1)
    assert flow.query("SELECT reason FROM quarantine") == [("bad_text",)]


@pytest.mark.redteam(of="R18")
def test_links_to_directories_in_a_circle_cost_nothing(flow: Flow) -> None:
    path = flow.write("deep/er/a.csv", rows(0, 100))
    for name in ("one", "two"):
        (path.parent / name).symlink_to(flow.folder)
        (flow.folder / name).symlink_to(path.parent)
    flow.begin("**/*.csv")
    flow.await_committed(path)
    append(path, rows(100, 200))
    flow.await_committed(path)
    assert flow.exact(path)["stored"] == 200
    assert flow.query("SELECT count(*) FROM sources") == [(1,)]


@pytest.mark.redteam(of="R19")
def test_a_path_of_three_thousand_bytes_is_stored(flow: Flow) -> None:
    parts = ["x" * 200] * ((3037 - len(str(flow.folder)) - 10) // 201)
    path = flow.write(str(Path(*parts, "a.csv")), rows(0, 100))
    assert 2800 < len(str(path)) < 3100
    flow.begin("**/*.csv")
    flow.await_committed(path)
    assert flow.exact(path)["stored"] == 100
    assert flow.query("SELECT status, sum(rows) FROM batches GROUP BY 1") == [("stored", 100)]
    assert flow.query("SELECT count(*) FROM dead_letters") == [(0,)]


@pytest.mark.redteam(of="R33")
def test_odd_times_odd_ends_and_odd_files_are_read_or_told_of(flow: Flow) -> None:
    line = "{},DCGM_FI_DEV_GPU_UTIL,0,GPU-1,host-1,{}{}"
    summer = [
        "2025-10-26T02:30:00+02:00",
        "2025-10-26T02:30:00+01:00",
        "2025-03-30T01:59:59+01:00",
        "2025-03-30T03:00:00+02:00",
        "2016-12-31T23:59:60Z",
    ]
    ends = ["\n", "\r\n"]
    times = flow.write("times.csv", *(line.format(time, n, ends[n % 2]) for n, time in enumerate(summer)))
    future = flow.write("2038.csv", line.format("2038-01-19T03:14:08Z", 1, "\n"))
    returns = flow.write("returns.csv", rows(0, 10).replace("\n", "\r"), header=HEADER.replace("\n", "\r"))
    linked = flow.write("linked.csv", rows(100, 110))
    os.link(linked, flow.folder / "hard.csv")
    os.mkfifo(flow.folder / "fifo.csv")
    (flow.folder / "self.csv").symlink_to(flow.folder / "self.csv")
    (flow.folder / "gone.csv").symlink_to(flow.folder / "nowhere")
    flow.begin(TELEMETRY_SOURCES_FINAL="true")
    flow.await_committed(times, future, linked, returns)
    counts = flow.exact(times, future, linked)
    assert (counts["stored"], counts["quarantined"]) == (14, 2)
    reasons = flow.query("SELECT reason FROM quarantine ORDER BY 1")
    assert reasons == [("bad_timestamp",), ("too_new",), ("unknown_format",)]
    assert flow.verify(returns)["unread"] > 0
