"""What NVIDIA's Fleet Intelligence agent writes offline: fields of DCGM and XIDs of GPUs; nothing is guessed."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from telemetry.readings.fleetint import EVENTS, METRICS
from telemetry.readings.source_settings import NO_SETTINGS, SourceSettings
from tests.examples import examples
from tests.formats import reading
from tests.formats.both import both
from tests.formats.reading import NODE, written

UUID = "GPU-0f3c1a52-6b7e-4d18-9a3c-2e5b7d9f1c04"
TIME = "2026-11-05T10:00:00Z"


def metrics(path: Path, *rows: tuple[str, str, str]) -> Path:
    """A file of metrics: name, value and labels of each."""
    quoted = (f'{TIME},c,{name},{value},"{labels.replace(chr(34), chr(34) * 2)}"' for name, value, labels in rows)
    return written(path, ",".join(METRICS), *quoted)


def events(path: Path, *rows: tuple[str, str, str]) -> Path:
    """A file of events: name, type and message of each."""
    return written(path, ",".join(EVENTS), *(f'{TIME},c,{name},{kind},"{message}"' for name, kind, message in rows))


def test_metrics_have_the_names_of_dcgm_and_the_labels_of_the_agent(tmp_path: Path) -> None:
    labels = json.dumps({"uuid": UUID, "gpu": "3"})
    path = metrics(
        tmp_path / "a.csv",
        ("dcgm_fi_dev_power_usage", "301.25", labels),
        ("accelerator_nvidia_memory_used_bytes", "1.234e+09", json.dumps({"uuid": UUID})),
        ("accelerator_nvidia_xid_errors_total", "2", json.dumps({"uuid": UUID, "xid": "79"})),
        ("cpu_load", "0.5", ""),
    )
    whole = both(path, NO_SETTINGS)
    assert [(each.gpu, each.metric, each.value) for each in whole.readings] == [
        (UUID, "DCGM_FI_DEV_POWER_USAGE", 301.25),
        (UUID, "FLEETINT_ACCELERATOR_NVIDIA_MEMORY_USED_BYTES", 1.234e9),
        (UUID, "FLEETINT_ACCELERATOR_NVIDIA_XID_ERRORS_TOTAL", 2.0),
    ]
    assert [key.labels for key in whole.series] == [{}, {}, {"xid": "79"}]
    # What is of the machine.
    assert (whole.quarantined, whole.blank) == ([], 1)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ('{"gpu":"3"}', "no_gpu"),
        ('{"uuid":"N/A","gpu":"0"}', "no_gpu"),
        ('{"uuid":7}', "bad_labels"),
        ("[]", "bad_labels"),
        ("{", "bad_labels"),
        ("[" * 50_000, "bad_labels"),
        (json.dumps({"uuid": UUID, "a": "\0"}), "bad_labels"),
        (json.dumps({"uuid": UUID, "a": "\ud800"}), "bad_labels"),
    ],
)
def test_labels_that_say_no_gpu_are_not_read(tmp_path: Path, labels: str, says: str) -> None:
    path = metrics(tmp_path / "a.csv", ("dcgm_fi_dev_gpu_temp", "61", labels))
    assert reading.read(path, "fleetint", NO_SETTINGS)[1] == [(2, says)]


def test_an_xid_is_that_of_dcgm_and_another_event_counts_one(tmp_path: Path) -> None:
    path = events(
        tmp_path / "a.csv",
        ("error_xid", "Fatal", f"XID 79 GPU has fallen off the bus detected on GPU PCI:0000:c6:00 UUID:{UUID}"),
        ("error_xid", "Warning", f"XID 149.4 (err status 0x00000004) NETIR detected on GPU PCI:0000:c6:00 UUID:{UUID}"),
        ("error_xid", "Fatal", "XID 48 DBE detected on GPU PCI:0000:c6:00"),
        ("dcgm_mem_incident", "Critical", f"{UUID} has pending retired pages"),
        ("dcgm_nvlink_incident", "Critical", f"{UUID} and {UUID[:-1]}5 lost a link"),
        ("reboot", "Warning", "system reboot detected"),
    )
    whole = both(path, NODE)
    assert [(each.gpu, each.metric, each.value) for each in whole.readings] == [
        (UUID, "DCGM_FI_DEV_XID_ERRORS", 79.0),
        (UUID, "DCGM_FI_DEV_XID_ERRORS", 149.0),
        ("node:00000000:C6:00.0", "DCGM_FI_DEV_XID_ERRORS", 48.0),
        (UUID, "FLEETINT_EVENT_DCGM_MEM_INCIDENT", 1.0),
    ]
    # Two of one second on one GPU are two series.
    assert [key.labels for key in whole.series] == [{"xid": "79"}, {"xid": "149"}, {"xid": "48"}, {"event_type": "Critical"}]
    assert (whole.quarantined, whole.blank) == ([], 2)
    # The address alone names no GPU.
    assert both(path, NO_SETTINGS).blank == 3


NAME = st.sampled_from(["dcgm_fi_dev_gpu_temp", "DCGM_FI_DEV_GPU_TEMP", "cpu", "", " x ", "é", "y" * 1100, "dcgm_fi_ß"])
VALUE = st.sampled_from(["61", "1.5e+09", "", "NaN", "+Inf", "x", "2147483632"])
JSON = st.dictionaries(
    st.sampled_from(["uuid", "gpu", "a", ""]), st.sampled_from([UUID, "3", "", "N/A", "x y", "é"]), max_size=3
)
LABELS = JSON.map(json.dumps) | st.sampled_from(["", "{}", "null", '{"a":1}', '{"a":"\\u0000"}', '{"a":"\\ud800"}'])
MESSAGE = st.sampled_from(
    ["", "x", f"XID 79 on GPU PCI:0000:c6:00 UUID:{UUID}", "XID 48.1 PCI:0000:04:00", "XID x", f"XID 12345 {UUID}", UUID, "é"]
)


@hypothesis(max_examples=examples(200), deadline=None)
@given(st.lists(st.tuples(NAME, VALUE, LABELS), min_size=1, max_size=6), st.sampled_from([NODE, NO_SETTINGS]))
def test_streamer_and_verify_agree_of_metrics(rows: list[tuple[str, str, str]], said: SourceSettings) -> None:
    note(repr(rows))
    with TemporaryDirectory() as folder:
        reading.read(metrics(Path(folder, "a.csv"), *rows), "fleetint", said)


@hypothesis(max_examples=examples(150), deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["error_xid", "reboot", "", "é"]), NAME, MESSAGE), min_size=1, max_size=6),
    st.sampled_from([NODE, NO_SETTINGS]),
)
def test_streamer_and_verify_agree_of_events(rows: list[tuple[str, str, str]], said: SourceSettings) -> None:
    note(repr(rows))
    with TemporaryDirectory() as folder:
        reading.read(events(Path(folder, "a.csv"), *rows), "fleetint-events", said)
