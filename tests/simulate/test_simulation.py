from __future__ import annotations

import csv
import io
import re
from datetime import datetime

import pytest

from telemetry.readings.dump import HEADER
from telemetry.simulate.simulation import Simulation
from telemetry.simulate.timeline import SECOND, Timeline

START = 1_752_871_354 * SECOND
STEPS = 120


def text(*, hosts: int = 5, gpus: int = 8, interval_us: int = 10 * SECOND, steps: int = STEPS, seed: int = 0) -> bytes:
    simulation = Simulation(hosts, gpus, Timeline(START, interval_us), seed)
    return b"".join(scrape.text for scrapes in simulation.steps(0, steps) for scrape in scrapes)


def parsed(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((HEADER + body).decode()), strict=True))


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return parsed(text())


def test_the_same_arguments_make_the_same_bytes() -> None:
    assert text() == text()
    assert text(steps=3) != text(steps=3, seed=1)


def test_live_steps_are_those_of_a_history() -> None:
    simulation = Simulation(5, 8, Timeline(START, 10 * SECOND), 0)
    one_by_one = b"".join(s.text for step in range(STEPS) for scrapes in simulation.steps(step, 1) for s in scrapes)
    assert one_by_one == text()


def test_every_row_has_the_twelve_columns_all_quoted() -> None:
    body = text(steps=5).decode()
    assert all(len(row) == 12 for row in csv.reader(io.StringIO(body), strict=True))
    quoted = re.compile(r'"(?:[^"]|"")*"(?:,"(?:[^"]|"")*"){11}')
    assert all(quoted.fullmatch(line) for line in body.splitlines())
    assert HEADER.decode().strip().split(",") == list(parsed(body.encode())[0])


@pytest.mark.parametrize("interval_us", [10 * SECOND, SECOND, SECOND // 4, 1500])
def test_a_series_has_one_value_at_a_time(interval_us: int) -> None:
    made = parsed(text(interval_us=interval_us, steps=40))
    keys = {(row["timestamp"], row["labels_raw"]) for row in made}
    assert len(keys) == len(made)


def test_rows_come_in_the_order_of_time(rows: list[dict[str, str]]) -> None:
    times = [datetime.fromisoformat(row["timestamp"]) for row in rows]
    assert times == sorted(times)


def test_labels_repeat_the_columns(rows: list[dict[str, str]]) -> None:
    columns = {"__name__": "metric_name", "UUID": "uuid", "gpu": "gpu_id", "device": "device", "modelName": "modelName"}
    columns |= {name: name for name in ("Hostname", "container", "pod", "namespace")}
    for row in rows[::97]:
        labels = dict(re.findall(r'([A-Za-z_]+)="([^"]*)"', row["labels_raw"]))
        assert {name: labels.get(name, "") for name in columns} == {name: row[c] for name, c in columns.items()}
        assert list(labels) == sorted(labels)
        assert labels["instance"] == f"{row['Hostname']}:9400"


def test_values_look_as_the_exporter_writes_them(rows: list[dict[str, str]]) -> None:
    fractions = {row["metric_name"] for row in rows if "." in row["value"]}
    assert "DCGM_FI_DEV_POWER_USAGE" in fractions
    assert all(name == "DCGM_FI_DEV_POWER_USAGE" or name.startswith("DCGM_FI_PROF_") for name in fractions)
    assert all(re.fullmatch(r"0|[1-9]\d*|\d+\.\d*[1-9]", row["value"]) for row in rows)


def test_pods_stand_where_there_is_work(rows: list[dict[str, str]]) -> None:
    for row in rows:
        if not row["pod"] and row["metric_name"] == "DCGM_FI_DEV_GPU_UTIL":
            assert row["value"] == "0"
    assert any(row["pod"] for row in rows)
    assert any(not row["pod"] for row in rows)


def test_a_gpu_off_the_bus_is_silent_and_comes_back(rows: list[dict[str, str]]) -> None:
    seen: dict[str, set[str]] = {}
    for row in rows:
        seen.setdefault(row["uuid"], set()).add(row["timestamp"])
    gaps = {uuid: STEPS - len(times) for uuid, times in seen.items() if len(times) < STEPS}
    assert 1 <= len(gaps) <= 3
    assert all(5 < missing < STEPS / 2 for missing in gaps.values())


def test_models_leave_out_what_they_lack(rows: list[dict[str, str]]) -> None:
    l40s = {row["metric_name"] for row in rows if row["modelName"] == "NVIDIA L40S"}
    h100 = {row["metric_name"] for row in rows if row["modelName"] == "NVIDIA H100 80GB HBM3"}
    assert h100 - l40s == {"DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", "DCGM_FI_DEV_MEMORY_TEMP"}


def test_counts_are_those_of_the_text() -> None:
    for scrapes in Simulation(2, 3, Timeline(START, SECOND), 0).steps(0, 4):
        assert all(scrape.rows == scrape.text.count(b"\n") for scrape in scrapes)
