"""What is taken of `nvidia-smi` in its loop: the values that the format reads of the same lines; gaps where there are none."""

from __future__ import annotations

import json
import resource
import threading
import time
from contextlib import closing
from math import isnan
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from telemetry.formats import wide
from telemetry.formats.smi_cells import smi_numbers
from telemetry.readings.nvidia_smi import SAME
from telemetry.record.files import Files
from telemetry.record.jobs import with_jobs
from telemetry.record.nvidia_smi import Column, NvidiaSmi, value_in
from telemetry.record.recording import record
from telemetry.record.taken import SourceError, Taken
from tests.formats import reading
from tests.formats.both import both
from tests.formats.reading import NODE
from tests.record.tools import tool
from tests.waiting import eventually

ROUNDS = "say(header())\nwhile True:\n    say(row(0), row(1)); time.sleep(loop_s)\n"


def source(directory: Path, body: str, interval_s: float = 0.05, *, patience_s: float = 20.0) -> NvidiaSmi:
    """One that reads a tool which does what the body says."""
    path = tool(directory, "nvidia-smi", body)
    return NvidiaSmi(path, "node-1", interval_s, threading.Event(), patience_s=patience_s, rest_s=0.0)


def by_gpu(readings: list[Taken]) -> dict[str, dict[str, float]]:
    """The values by index and metric."""
    values: dict[str, dict[str, float]] = {}
    for each in readings:
        values.setdefault(each.gpu.index, {})[each.metric.removeprefix("DCGM_FI_DEV_")] = each.value
    return values


def test_values_have_dcgms_names_and_units_and_the_tools_time(tmp_path: Path) -> None:
    with closing(source(tmp_path, ROUNDS)) as smi:
        before_s = time.time()
        readings = smi.take()
        more = smi.take()
    assert by_gpu(readings).keys() == {"0", "1"}
    values = by_gpu(readings)["1"]
    # All fields that DCGM has, too, but for the fan, which this GPU has not.
    assert len(values) == len(SAME) - 1
    shown = ("POWER_USAGE", "PSTATE", "CLOCKS_EVENT_REASONS", "ROW_REMAP_PENDING", "FB_USED")
    assert [values[name] for name in shown] == [301.22, 0, 36, 0, 7]
    gpu = readings[-1].gpu
    assert (gpu.uuid, gpu.model, gpu.host) == ("GPU-00000001-0000-0000-0000-000000000001", "NVIDIA H200", "node-1")
    assert gpu.labels == {"DCGM_FI_DRIVER_VERSION": "580.159.04"}
    times_s = [each.at_s for each in [*readings, *more] if each.at_s]
    assert len(times_s) == len(readings) + len(more)
    # The tool has milliseconds.
    assert before_s - 0.001 <= min(times_s) < max(times_s) <= time.time()


def test_a_whole_recording_is_read_by_the_formats_as_what_the_tool_wrote_is(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    body = "lines = [header(), row(0), row(1, fan__speed='31 %')]\nopen(HERE + '/out/smi.csv', 'w').write('\\n'.join(lines))\n"
    with closing(source(tmp_path, body + "say(*lines); forever()")) as smi:
        files = Files(tmp_path / "out", "gpus", 1 << 20, 1e9, 1 << 30)
        record(smi, files, 0.05, threading.Event(), turns=1)
    (path,) = (tmp_path / "out").glob("gpus-*.csv")
    ours, theirs = (
        sorted(reading.read(each, name, NODE)[0]) for each, name in ((path, "dcgm"), (tmp_path / "out/smi.csv", "nvidia-smi"))
    )
    assert ours == theirs
    assert len(ours) == 2 * len(SAME) - 1
    # Streamer and `verify` agree on it, as on each file.
    assert both(path, NODE).format == "dcgm"


def test_a_real_recording_played_again_gives_the_values_that_the_format_reads(tmp_path: Path, recorded: Path) -> None:
    played = json.dumps((recorded / "smi-all.csv").read_text())
    body = (
        f"lines = [line.split(', ') for line in {played}.splitlines()]\n"
        "places = {name.split(' ')[0]: at for at, name in enumerate(lines[0])}\n"
        "refuse(*(field for field in asked if field not in places))\n"
        "pick = lambda cells: ', '.join(cells[places[field]] for field in asked)\n"
        "for cells in lines: say(pick([now(), *cells[1:]] if cells is not lines[0] else cells))\n"
        "forever()"
    )
    with closing(source(tmp_path, body)) as smi:
        ours = smi.take()
    theirs, _, _ = reading.read(recorded / "smi-all.csv", "nvidia-smi", NODE)
    metrics = {same.metric for same in SAME.values()}
    assert [(each.metric, each.value) for each in sorted(ours, key=lambda one: one.metric)] == [
        (each.metric, each.value) for each in sorted(theirs, key=lambda one: one.metric) if each.metric in metrics
    ]
    assert len(ours) > 200


CELL = st.sampled_from(
    ["0", "92 %", "92", "P8", "0x24", "[N/A]", "[Unknown Error]", "Yes", "", "1e3", "ERR!", "-0.5 %", "1e400"]
)


@hypothesis(max_examples=30, deadline=None)
@given(cells=st.lists(st.one_of(CELL, st.floats(0, 1e6).map(str), st.text("0123456789.eE+-xPN/A[] %", max_size=6))))
def test_each_cell_is_the_number_that_the_format_reads(cells: list[str]) -> None:
    values, reasons = smi_numbers(pa.array(cells, pa.string()), wide.Column(0, "M", "%"))
    for cell, value, reason in zip(cells, values.tolist(), reasons.tolist(), strict=True):
        ours = value_in(cell.strip(" \t"), Column(0, "M", "%"))
        assert (ours == value) if reason == 0 else isnan(ours), cell


def test_fields_that_a_driver_does_not_know_are_left_out_or_asked_for_by_their_older_names(tmp_path: Path) -> None:
    body = "starts(); refuse('power.draw.instant', 'clocks_event_reasons.active', 'memory.reserved')\n" + ROUNDS
    with closing(source(tmp_path, body)) as smi:
        values = by_gpu(smi.take())["0"]
    assert {"POWER_USAGE_INSTANT", "FB_RESERVED"} & values.keys() == set()
    assert values["CLOCKS_EVENT_REASONS"] == 36
    # One start for each of the three, and one that stays.
    assert (tmp_path / "starts").read_text() == "xxxx"


def test_a_gpu_that_falls_off_is_a_gap_and_the_others_are_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lost = "[GPU is lost]"
    body = f"""
say(header(), row(0), row(1)); time.sleep(0.3)
cells = dict.fromkeys([field.replace(".", "__") for field in asked[4:]], "{lost}")
for _ in range(2): say(row(0), row(1, **cells)); time.sleep(0.3)
say(row(0), row(1, uuid="{lost}", **cells)); time.sleep(0.3)
say(row(0), row(1)); forever()
"""
    with closing(source(tmp_path, body)) as smi:
        turns = [by_gpu(smi.take()).keys() for _ in range(5)]
    assert turns == [{"0", "1"}, {"0"}, {"0"}, {"0"}, {"0", "1"}]
    assert caplog.text.count(f"GPU 1 is left out: {lost}") == 1
    assert caplog.text.count("GPU 1 is read again") == 1


def test_a_driver_that_goes_is_told_in_the_tools_words_and_the_tool_is_started_anew(tmp_path: Path) -> None:
    body = """
number = starts()
if number == 2:
    say("NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.", "")
    sys.exit(9)
say(header(), row(0))
if number == 1: sys.exit(15)
forever()
"""
    with closing(source(tmp_path, body)) as smi:
        assert by_gpu(smi.take()).keys() == {"0"}
        with pytest.raises(SourceError, match=r"^nvidia-smi ended with 15$"):
            smi.take()
        with pytest.raises(SourceError, match="nvidia-smi ended with 9: NVIDIA-SMI has failed because"):
            smi.take()
        assert by_gpu(smi.take()).keys() == {"0"}


def test_one_that_hangs_or_has_no_values_is_ended_and_started_anew(tmp_path: Path) -> None:
    body = """
number = starts()
if number == 1: forever()
say(header())
while number == 2: say(row(0, uuid="[Unknown Error]"), "Unknown Error"); time.sleep(0.1)
say(row(0)); forever()
"""
    with closing(source(tmp_path, body, patience_s=1.0)) as smi:
        with pytest.raises(SourceError, match="has written nothing for"):
            smi.take()
        with pytest.raises(SourceError, match=r"has no reading for 1\.05 s: Unknown Error"):
            smi.take()
        assert by_gpu(smi.take()).keys() == {"0"}


def test_one_that_fails_at_once_is_not_started_in_each_turn(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = Files(tmp_path / "out", "gpus", 1 << 20, 1e9, 1 << 30)
    with closing(source(tmp_path, "starts(); sys.exit(6)")) as smi:
        smi.rest_s = 600.0
        assert record(smi, files, 0.05, smi.process.stopping, turns=3).missed == 3
    assert (tmp_path / "starts").read_text() == "x"
    assert "nothing is recorded: nvidia-smi ended with 6; it is tried again every 600 s" in caplog.text


def test_times_of_another_zone_or_clock_are_not_believed(tmp_path: Path) -> None:
    told = r"the times of nvidia-smi are \+7200 s from this machine's clock"
    body = "say(header(), row(0, off_s=7200)); forever()"
    with closing(source(tmp_path, body)) as smi, pytest.raises(SourceError, match=told):
        smi.take()


def test_what_is_no_record_and_what_is_in_another_unit_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    body = """
print(end="Sat Nov 28 06:57:53 2026\\n" + header().replace("power.draw [W]", "power.draw [mW]") + "\\n", flush=True)
say(row(0)[:-40], row(0, timestamp="now"), "", row(0, pstate="P?", index="7"))
forever()
"""
    with closing(source(tmp_path, body)) as smi:
        values = by_gpu(smi.take())
    assert values.keys() == {"7"}
    assert {"PSTATE", "POWER_USAGE", "FAN_SPEED"} & values["7"].keys() == set()
    assert values["7"]["GPU_UTIL"] == 7
    assert "DCGM_FI_DEV_POWER_USAGE is left out: it has the unit 'mW', not 'W'" in caplog.text


def test_a_slurm_job_stands_at_the_gpus_that_it_has(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    (jobs / "1").write_text("4711\n")
    with closing(source(tmp_path, ROUNDS)) as smi:
        readings = with_jobs(smi.take(), jobs)
    assert {each.gpu.index: each.gpu.labels.get("hpc_job") for each in readings} == {"0": None, "1": "4711"}


def test_what_a_full_disk_takes_is_a_gap_of_whole_rounds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = Files(tmp_path / "out", "gpus", 1 << 20, 1e9, 1 << 30)
    files.claim()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with closing(source(tmp_path, ROUNDS, 0.2)) as smi:
        # A file that may not grow is what a full disk is to its writer; here it has room for two rounds.
        resource.setrlimit(resource.RLIMIT_FSIZE, (24_000, limits[1]))
        try:
            done = record(smi, files, 0.2, smi.process.stopping, turns=4)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        again = record(smi, files, 0.2, smi.process.stopping, turns=1)
    files.close()
    assert (done.turns + done.missed, again.turns, again.missed) == (4, 1, 0)
    assert done.turns >= 1
    assert done.missed >= 1
    assert "cannot be written: File too large" in caplog.text
    readings = [each for path in (tmp_path / "out").iterdir() for each in reading.read(path, "dcgm", NODE)[0]]
    assert len(readings) == done.readings + again.readings


def test_a_stop_in_the_middle_of_a_turn_is_no_turn_that_was_missed(tmp_path: Path) -> None:
    with closing(source(tmp_path, "forever()")) as smi:
        files = Files(tmp_path / "out", "gpus", 1 << 20, 1e9, 1 << 30)
        stopping = smi.process.stopping
        timer = threading.Timer(0.3, stopping.set)
        timer.start()
        done = record(smi, files, 0.05, stopping)
    assert (done.turns, done.missed) == (0, 0)
    eventually(lambda: not timer.is_alive())
