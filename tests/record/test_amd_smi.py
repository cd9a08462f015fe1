"""What is taken of `amd-smi` in its loop: the values that the format reads of the same lines."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from telemetry.record.amd_smi import AmdSmi
from telemetry.record.files import Files
from telemetry.record.recording import record
from telemetry.record.taken import SourceError
from tests.formats import reading
from tests.formats.reading import NODE
from tests.record.tools import tool


def source(directory: Path, body: str) -> AmdSmi:
    """One that reads a tool which does what the body says."""
    return AmdSmi(tool(directory, "amd-smi", body), "node", 1.0, threading.Event(), patience_s=20.0, rest_s=0.0)


def test_columns_have_dcgms_names_where_they_are_the_same_and_an_engine_is_a_series(tmp_path: Path) -> None:
    with closing(source(tmp_path, "say(\"'CTRL' + 'C' to stop watching output:\"); round_of(0, 1); forever()")) as amd:
        readings = amd.take()
    assert [(each.metric, each.value, each.gpu.labels) for each in readings if each.gpu.index == "1"] == [
        ("DCGM_FI_DEV_POWER_USAGE", 301.0, {"xcp": "0"}),
        ("AMD_SMI_HOTSPOT_TEMPERATURE", 44.0, {"xcp": "0"}),
        ("DCGM_FI_DEV_GPU_UTIL", 92.0, {"xcp": "0"}),
        ("DCGM_FI_DEV_MEM_COPY_UTIL", 25.0, {"xcp": "0"}),
        ("DCGM_FI_DEV_MEM_CLOCK", 2000.0, {"xcp": "0"}),
        ("DCGM_FI_DEV_ENC_UTIL", 5.0, {"xcp": "0", "engine": "0"}),
        ("DCGM_FI_DEV_ENC_UTIL", 7.0, {"xcp": "0", "engine": "2"}),
        ("DCGM_FI_DEV_FB_USED", 25073.0, {"xcp": "0"}),
    ]
    assert {each.gpu.host for each in readings} == {"node"}
    assert all(abs((each.at_s or 0) - time.time()) < 60 for each in readings)


def test_a_recording_is_read_by_the_formats_as_what_the_tool_wrote_is(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    # Each round to the file and to us, at one time.
    body = "both = os.open(HERE + '/out/amd.csv', os.O_CREAT | os.O_WRONLY)\ntimes = time.time()\ntime.time = lambda: times\n"
    with closing(
        source(
            tmp_path, body + "ours = os.dup(1); os.dup2(both, 1); round_of(0, 1); os.dup2(ours, 1); round_of(0, 1); forever()"
        )
    ) as amd:
        files = Files(tmp_path / "out", "gpus", 1 << 20, 1e9, 1 << 30)
        record(amd, files, 1.0, threading.Event(), turns=1)
    (path,) = (tmp_path / "out").glob("gpus-*.csv")
    ours, theirs = (
        sorted(reading.read(each, name, NODE)[0]) for each, name in ((path, "dcgm"), (tmp_path / "out/amd.csv", "amd-smi"))
    )
    assert ours == theirs
    assert len(ours) == 16


def test_a_header_of_each_round_counts_and_what_is_no_record_is_left_out(tmp_path: Path) -> None:
    body = """
round_of(0)
now = int(time.time())
say("timestamp,gpu,hotspot_temperature,ecc", f"{now},1,51,ENABLED", f"{now},N/A,51,0", f"N/A,1,52,0", f"{now},1,51")
forever()
"""
    with closing(source(tmp_path, body)) as amd:
        readings = amd.take()
    assert [(each.metric, each.value) for each in readings if each.gpu.index == "1"] == [("AMD_SMI_HOTSPOT_TEMPERATURE", 51.0)]


def test_it_has_whole_seconds_between_its_turns(tmp_path: Path) -> None:
    for interval_s in (0.5, 1.5):
        with pytest.raises(SourceError, match="amd-smi has whole seconds between its turns"):
            AmdSmi("amd-smi", "node", interval_s, threading.Event())
    amd = AmdSmi(tool(tmp_path, "amd-smi", "say('ERROR: no GPU'); sys.exit(2)"), "node", 2.0, threading.Event())
    assert amd.begin()[1:] == ["monitor", "--csv", "--watch", "2"]
    with pytest.raises(SourceError, match="amd-smi ended with 2: ERROR: no GPU"):
        amd.take()
