"""What nvidia-smi writes about processes: who holds a GPU's memory, whatever a process is called, and nothing is guessed."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from telemetry.readings.source_settings import NO_SETTINGS, SourceSettings
from tests.examples import examples
from tests.formats import reading
from tests.formats.both import both
from tests.formats.reading import NODE, foreign, written

UUID = "GPU-0f3c1a52-6b7e-4d18-9a3c-2e5b7d9f1c04"
APPS = "timestamp, gpu_name, gpu_uuid, pid, process_name, used_gpu_memory [MiB]"
PMON = "#Date        Time         gpu         pid   type     sm    mem     fb    command "
UNITS = "#YYYYMMDD    HH:MM:SS     Idx           #    C/G      %      %     MB    name "
MEMORY = "NVIDIA_SMI_PROCESS_MEMORY_USED"


def held(path: Path, said: SourceSettings = NODE) -> list[tuple[str, dict[str, str], float]]:
    """Whose memory each reading is, and how much."""
    whole = both(path, said)
    assert whole.quarantined == []
    readings = [reading for reading in whole.readings if reading.metric == MEMORY]
    keys = [key for key in whole.series if key.metric == MEMORY]
    return [(reading.gpu, key.labels, reading.value) for reading, key in zip(readings, keys, strict=True)]


@pytest.mark.parametrize("name", ["python3", "/opt/a, b/python3", ",", "a,b,c"])
def test_a_process_holds_memory_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "a.csv", APPS, f"2026/11/05 10:00:00.749, NVIDIA H200, {UUID}, 461, {name}, 1130 MiB")
    assert held(path) == [(UUID, {"pid": "461", "process": name}, 1130.0)]


def test_two_processes_of_one_gpu_are_two_series(tmp_path: Path) -> None:
    rows = (f"2026/11/05 10:00:00, {UUID}, {pid}, {pid} MiB" for pid in (1, 2))
    path = written(tmp_path / "a.csv", "timestamp, gpu_uuid, pid, used_gpu_memory [MiB]", *rows)
    assert held(path) == [(UUID, {"pid": "1"}, 1.0), (UUID, {"pid": "2"}, 2.0)]


def test_a_real_recording_is_read_whole(recorded: Path) -> None:
    readings, quarantined, blank = reading.read(recorded / "smi-apps.csv", "nvidia-smi-apps")
    rows = len((recorded / "smi-apps.csv").read_text().splitlines()) - 1
    assert (len(readings), quarantined, blank) == (rows, [], 0)
    readings, quarantined, _ = reading.read(recorded / "pmon.txt", "nvidia-smi-pmon")
    assert quarantined == []
    assert {each.metric for each in readings} >= {MEMORY, "NVIDIA_SMI_PROCESS_SM"}


def test_the_columns_of_pmon(tmp_path: Path) -> None:
    row = " 20261105    10:00:00       3        461     C     92      -   1130    my job  "
    nobody = " 20261105    10:00:01       3          -     -      -      -      -         "
    path = written(tmp_path / "a.txt", PMON, UNITS, row, nobody, PMON, UNITS)
    readings, quarantined, blank = reading.read(path, "nvidia-smi-pmon")
    assert [(each.gpu, each.metric, each.value) for each in readings] == [
        ("node:3", "NVIDIA_SMI_PROCESS_SM", 92.0),
        ("node:3", MEMORY, 1130.0),
    ]
    assert (quarantined, blank) == ([], 4)
    assert held(path) == [("node:3", {"pid": "461", "type": "C", "process": "my job"}, 1130.0)]


@pytest.mark.parametrize(
    ("header", "said", "lacks"),
    [
        ("gpu_uuid, pid, process_name, used_gpu_memory [MiB]", NODE, "nvidia-smi-apps, and its rows carry no time; log with"),
        (APPS, NO_SETTINGS, "it is of nvidia-smi-apps, and its times carry no zone: time_zone; say so"),
        (APPS.replace("gpu_uuid, ", ""), NODE, "it does not name its GPU: gpu_index"),
        (APPS.replace("MiB", "GiB"), NODE, "no format knows"),
        (PMON, NO_SETTINGS, "it is of nvidia-smi pmon, and its times carry no zone: time_zone, it does not name its host"),
        (PMON.replace("Date        Time", ""), NODE, "its rows carry no time; log with one: nvidia-smi pmon -o DT"),
    ],
)
def test_what_it_does_not_say_is_not_guessed(tmp_path: Path, header: str, said: SourceSettings, lacks: str) -> None:
    assert lacks in foreign(written(tmp_path / "a.csv", header, "2026/11/05 10:00:00, 1, 2"), said)


CELL = st.sampled_from(["461", "a,b", " x ", "[N/A]", "14 MiB", "14", "", "é", '"', "2026/11/05 10:00:00", UUID, "0 MiB,"])
FIELDS = ("timestamp", "pid", "used_gpu_memory [MiB]", "gpu_uuid", "process_name", "gpu_bus_id")


@hypothesis(max_examples=examples(200), deadline=None)
@given(st.data(), st.integers(3, 6))
def test_streamer_and_verify_agree_of_apps(data: st.DataObject, count: int) -> None:
    names = [*data.draw(st.permutations(FIELDS[:count]))]
    lines = [", ".join(names)]
    for _ in range(data.draw(st.integers(1, 5))):
        cells = [
            "2026/11/05 10:00:00" if name == "timestamp" and data.draw(st.booleans()) else data.draw(CELL) for name in names
        ]
        lines.append(data.draw(st.sampled_from([", ", ","])).join(cells[: data.draw(st.sampled_from([count, count, 2]))]))
    note(repr(lines))
    with TemporaryDirectory() as folder:
        reading.read(written(Path(folder, "a.csv"), *lines), "nvidia-smi-apps", SourceSettings("UTC", "node", 0))


WORD = st.sampled_from(["20261105", "10:00:00", "3", "461", "-", "C", "92", "x", "a b", "", ",", "é"])


@hypothesis(max_examples=examples(200), deadline=None)
@given(st.data())
def test_streamer_and_verify_agree_of_pmon(data: st.DataObject) -> None:
    lines = [PMON, UNITS]
    for _ in range(data.draw(st.integers(1, 5))):
        row = ["20261105", "10:00:00", "3", "461", "C", "92", "7", "14", "job"]
        for at in data.draw(st.lists(st.integers(0, 8), max_size=3)):
            row[at] = data.draw(WORD)
        lines.append(data.draw(st.sampled_from([" ", "  ", "\t"])).join(row[: data.draw(st.integers(6, 9))]))
        lines += data.draw(st.sampled_from([[], [PMON, UNITS], [UNITS]]))
    note(repr(lines))
    with TemporaryDirectory() as folder:
        reading.read(written(Path(folder, "a.txt"), *lines), "nvidia-smi-pmon")
