"""Each alert fires when it should and keeps quiet when it should, by Prometheus' own judgement."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from telemetry.monitoring import alerts
from telemetry.settings import Settings
from tests.rules import rules

ROOT = Path(__file__).parents[3]
NAMES = [rule["alert"] for rule in rules()]
MINUTES = 90

Series = Mapping[str, str]


class Case(NamedTuple):
    """Series as promtool writes them, one value a minute, that make an alert fire, and others that do not."""

    firing: Series
    quiet: tuple[Series, ...]


def steady(value: float | str) -> str:
    return f"{value}x{MINUTES}"


SOURCE = '{edge="a/n",path="/f"}'
LATENCY = 'cross_cluster_latency_seconds{source_cluster="a",target_cluster="c"}'
STATUS = 'message_queue_connection_status{cluster="a",component="beat"}'
STORED, QUARANTINED = (
    f'telemetry_rows_committed_total{{source_cluster="a",row_class="{n}"}}' for n in ("stored", "quarantined")
)
GPU = '{UUID="GPU-1",gpu="0",Hostname="h"}'
POD = '{UUID="GPU-1",gpu="0",Hostname="h",namespace="n",pod="p"}'
QUEUE, COMMIT = "telemetry_queue_messages", "telemetry_last_commit_timestamp_seconds"
END = "telemetry_partitions_end_timestamp_seconds"
# The clock of a test begins at 1970.
CASES = {
    "CrossClusterHighLatency": Case(
        {LATENCY: steady(0.11)}, ({LATENCY: steady(0.1)}, {LATENCY: "0.3x3 _x86"}, {LATENCY: "0.3 0.05 0.3 0.05 0.3x2 0.05x84"})
    ),
    "RedisConnectionLost": Case({STATUS: steady(0)}, ({STATUS: steady(1)}, {STATUS: "1x86 0 0 1"})),
    "SourceStalled": Case(
        {f"telemetry_source_in_flight_bytes{SOURCE}": steady(9), f"telemetry_source_committed_bytes{SOURCE}": steady(5)},
        (
            {f"telemetry_source_in_flight_bytes{SOURCE}": steady(9), f"telemetry_source_committed_bytes{SOURCE}": "0+1x90"},
            {f"telemetry_source_in_flight_bytes{SOURCE}": steady(0), f"telemetry_source_committed_bytes{SOURCE}": steady(5)},
        ),
    ),
    "EdgeSilent": Case(
        {'telemetry_edge_silent_seconds{edge="a/n"}': "0+60x90"},
        (
            {'telemetry_edge_silent_seconds{edge="a/n"}': steady(200)},
            {'telemetry_edge_silent_seconds{edge="a/n"}': steady(200_000)},
        ),
    ),
    "LedgerGap": Case({'telemetry_ledger_gaps{edge="a/n"}': steady(1)}, ({'telemetry_ledger_gaps{edge="a/n"}': steady(0)},)),
    "NothingCommitted": Case(
        {QUEUE: steady(3), COMMIT: steady(60)},
        ({QUEUE: steady(3), COMMIT: "0+60x90"}, {QUEUE: steady(0), COMMIT: steady(60)}),
    ),
    "QuarantineRising": Case({STORED: "0+90x90", QUARANTINED: "0+10x90"}, ({STORED: "0+9900x90", QUARANTINED: "0+10x90"},)),
    "DeadLetters": Case({"telemetry_dead_letters": steady(1)}, ({"telemetry_dead_letters": steady(0)},)),
    "BrokerMemoryHigh": Case(
        {"telemetry_broker_memory_bytes": steady(81), "telemetry_broker_memory_limit_bytes": steady(100)},
        (
            {"telemetry_broker_memory_bytes": steady(79), "telemetry_broker_memory_limit_bytes": steady(100)},
            {"telemetry_broker_memory_bytes": steady(79), "telemetry_broker_memory_limit_bytes": steady(0)},
        ),
    ),
    "DatabaseNearlyFull": Case(
        {"telemetry_database_size_bytes": steady(86), "telemetry_database_capacity_bytes": steady(100)},
        (
            {"telemetry_database_size_bytes": steady(84), "telemetry_database_capacity_bytes": steady(100)},
            {"telemetry_database_size_bytes": steady(86)},
        ),
    ),
    "PartitionMissing": Case(
        {QUEUE: steady(1), END: steady(1200)},
        (
            {QUEUE: steady(1), END: steady(90_000)},
            {QUEUE: steady(0), END: steady(1200)},
            {QUEUE: steady(1), END: steady(-180_000)},
        ),
    ),
    "BeatSilent": Case(
        {"telemetry_ticks_published_total": steady(7), 'up{job="beat"}': steady(1)},
        ({"telemetry_ticks_published_total": "0+60x90", 'up{job="beat"}': steady(1)},),
    ),
    "ProcessStalled": Case(
        {'telemetry_heartbeat_timestamp_seconds{component="collector"}': "0+60x80 4800x10"},
        ({'telemetry_heartbeat_timestamp_seconds{component="collector"}': "0+60x90"},),
    ),
    "ExporterBlind": Case(
        {'telemetry_exporter_up{part="broker"}': steady(0)}, ({'telemetry_exporter_up{part="broker"}': steady(1)},)
    ),
    "GpuXidError": Case({f"DCGM_FI_DEV_XID_ERRORS{GPU}": steady(79)}, ({f"DCGM_FI_DEV_XID_ERRORS{GPU}": steady(0)},)),
    "GpuDoubleBitError": Case(
        {f"DCGM_FI_DEV_ECC_DBE_VOL_TOTAL{GPU}": "0x60 2x30"},
        ({f"DCGM_FI_DEV_ECC_DBE_VOL_TOTAL{GPU}": steady(2)}, {f"DCGM_FI_DEV_ECC_DBE_VOL_TOTAL{GPU}": "2x80 0x10"}),
    ),
    "GpuThermalThrottling": Case(
        {f"DCGM_FI_DEV_CLOCK_THROTTLE_REASONS{GPU}": steady(0x40 + 1)},
        (
            {f"DCGM_FI_DEV_CLOCK_THROTTLE_REASONS{GPU}": steady(0x80 + 0x10 + 4 + 1)},
            {f"DCGM_FI_DEV_THERMAL_VIOLATION{GPU}": "0+1000000x90"},
        ),
    ),
    "GpuTooHot": Case({f"DCGM_FI_DEV_GPU_TEMP{GPU}": steady(90)}, ({f"DCGM_FI_DEV_GPU_TEMP{GPU}": steady(88)},)),
    "GpuIdleWhileAllocated": Case(
        {f"DCGM_FI_DEV_GPU_UTIL{POD}": steady(0)},
        (
            {f"DCGM_FI_DEV_GPU_UTIL{POD}": steady(40)},
            {f"DCGM_FI_DEV_GPU_UTIL{GPU}": steady(0)},
            {f"DCGM_FI_DEV_GPU_UTIL{POD}": "0x70 90x20"},
        ),
    ),
    "GpuSilent": Case(
        {f"telemetry_gpu_last_reading_timestamp_seconds{GPU}": steady(1200)},
        ({f"telemetry_gpu_last_reading_timestamp_seconds{GPU}": "0+60x90"},),
    ),
}
ALSO_FIRING = {
    "NothingCommitted": {QUEUE: steady(3)},
    "BeatSilent": {'up{job="beat"}': steady(0)},
    "GpuThermalThrottling": {f"DCGM_FI_DEV_THERMAL_VIOLATION{GPU}": "0+6000000000x90"},
}


def test_each_alert_has_a_case() -> None:
    assert list(CASES) == NAMES


def test_each_alert_is_judged_right(promtool: str, tmp_path: Path) -> None:
    def judged(alert: str, series: Series, expected: int) -> dict[str, object]:
        return {
            "name": f"{alert}, {'firing' if expected else 'quiet'}: {series}",
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})',
                    "eval_time": f"{MINUTES - 1}m",
                    "exp_samples": [{"labels": "{}", "value": expected}] if expected else [],
                }
            ],
        }

    tests = [judged(alert, case.firing, 1) for alert, case in CASES.items()]
    tests += [judged(alert, series, 1) for alert, series in ALSO_FIRING.items()]
    tests += [judged(alert, series, 0) for alert, case in CASES.items() for series in case.quiet]
    file = tmp_path / "tests.json"
    file.write_text(json.dumps({"rule_files": [str(alerts.FILE)], "evaluation_interval": "30s", "tests": tests}))
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_as_prometheus_wants_them(promtool: str) -> None:
    done = subprocess.run(
        [promtool, "check", "rules", "--lint-fatal", alerts.FILE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", rules(), ids=NAMES)
def test_each_alert_tells_what_to_do(rule: dict[str, dict[str, str]]) -> None:
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    book, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^## (.+)$", (ROOT / book).read_text(), re.MULTILINE)
    assert str(rule["alert"]) in headings
    assert anchor == str(rule["alert"]).lower()


def test_the_runbooks_name_no_alert_that_there_is_not() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "docs" / "RUNBOOKS.md").read_text(), re.MULTILINE)
    assert headings == NAMES
    assert "TELEMETRY_" not in alerts.FILE.read_text()
    assert Settings.load({}).gap_alert_s == 300, "LedgerGap and its runbook say so"
